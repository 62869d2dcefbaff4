package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// fileWriter writes blobs as files below root. A file is written under root/.tmp and
// synced, then gets its name by link (which, unlike rename, refuses a name that is
// taken), then its directory is synced: after a crash at any moment a blob is whole or
// absent, and one that was reported as written is there.
type fileWriter struct {
	root     string
	hardLink func(tmp, path string) error // os.Link
	sync     func(f *os.File) error       // (*os.File).Sync
	mu       sync.Mutex                   // held from looking for a name to taking it, where links cannot be made
}

// tmpFolder cannot collide with a cluster's folder: escaped names never start with '.'.
const tmpFolder = ".tmp"

func newFileWriter(root string) (*fileWriter, error) {
	w := &fileWriter{root: root, hardLink: os.Link, sync: (*os.File).Sync}
	if err := w.mkdirAll(w.tmp()); err != nil {
		return nil, fmt.Errorf("creating the store's directory: %w", err)
	}
	return w, nil
}

func (w *fileWriter) tmp() string { return filepath.Join(w.root, tmpFolder) }

func (w *fileWriter) path(key string) string { return filepath.Join(w.root, filepath.FromSlash(key)) }

func (w *fileWriter) create(_ context.Context, key string, data []byte, _ string) error {
	err := w.write(key, data, w.link)
	if errors.Is(err, fs.ErrExist) {
		return errBlobExists
	}
	return err
}

func (w *fileWriter) replace(_ context.Context, key string, data []byte, _ string) error {
	return w.write(key, data, os.Rename)
}

func (w *fileWriter) write(key string, data []byte, name func(tmp, path string) error) error {
	tmp, err := w.writeTemp(data)
	if err != nil {
		return fmt.Errorf("writing file for %q: %w", key, err)
	}
	defer os.Remove(tmp)
	path := w.path(key)
	if err := w.inDirectory(filepath.Dir(path), func() error { return name(tmp, path) }); err != nil {
		return fmt.Errorf("naming file for %q: %w", key, err)
	}
	return w.syncDir(filepath.Dir(path))
}

// link names a file that must not be there yet. On file systems without links it is only
// atomic within this process.
func (w *fileWriter) link(tmp, path string) error {
	err := w.hardLink(tmp, path)
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EMLINK) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	return os.Rename(tmp, path)
}

func (w *fileWriter) writeTemp(data []byte) (path string, err error) {
	f, err := os.CreateTemp(w.tmp(), "blob-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		f.Close()
		return "", err
	}
	if err := w.sync(f); err != nil {
		f.Close()
		return "", err
	}
	return f.Name(), f.Close()
}

// inDirectory does something in a directory that is made when missing, and made again
// when a remove beside us took it away as empty.
func (w *fileWriter) inDirectory(dir string, do func() error) error {
	var err error
	for range 10 {
		if err = w.mkdirAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err = do(); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// remove syncs the directory, so that of two removes the first one is durable first.
func (w *fileWriter) remove(_ context.Context, key string) error {
	path := w.path(key)
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		w.prune(filepath.Dir(path))
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing file of %q: %w", key, err)
	}
	if err := w.syncDir(filepath.Dir(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w.prune(filepath.Dir(path))
	return nil
}

// prune removes directories that became empty, from dir up to the root.
func (w *fileWriter) prune(dir string) {
	for dir != w.root && os.Remove(dir) == nil {
		dir = filepath.Dir(dir)
	}
}

// mkdirAll is os.MkdirAll that syncs each parent of a directory it made.
func (w *fileWriter) mkdirAll(dir string) error {
	err := os.Mkdir(dir, 0o700)
	switch {
	case err == nil:
		return w.syncDir(filepath.Dir(dir))
	case errors.Is(err, fs.ErrExist):
		return checkDir(dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := w.mkdirAll(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return w.syncDir(filepath.Dir(dir))
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%q is not a directory", dir)
	}
	return err
}

func (w *fileWriter) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing directory: %w", err)
	}
	defer d.Close()
	if err := w.sync(d); err != nil {
		return fmt.Errorf("syncing directory: %w", err)
	}
	return nil
}

// clean removes temporary files older than before.
func (w *fileWriter) clean(before time.Time) error {
	entries, err := os.ReadDir(w.tmp())
	if err != nil {
		return fmt.Errorf("cleaning temporary files: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			errs = append(errs, os.Remove(filepath.Join(w.tmp(), e.Name())))
		}
	}
	return errors.Join(errs...)
}
