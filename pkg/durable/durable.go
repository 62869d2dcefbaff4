// Package durable writes files so that a crash or a power cut at any moment leaves the
// old content or the new, never a mixture and never an empty file.
//
// What enters is a path and its content; when a function returns nil, the disk has it.
// Nothing is ever written to the final path directly: the content goes to a temporary
// file beside it, is synced, renamed, and the directory synced. A crash can leave such a
// temporary file behind; RemoveTemps finds them by their names.
package durable

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempMark is in the name of every temporary file: ".<name>.tmp-<random>".
const tempMark = ".tmp-"

// WriteFile replaces the file's content as a whole. The directory must exist.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	return Write(path, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write is WriteFile for content that is made while it is written. When content fails,
// the old file stays as it was.
func Write(path string, mode fs.FileMode, content func(io.Writer) error) error {
	return realDisk().write(path, mode, content)
}

// Rename moves a file and syncs both directories.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("renaming durably: %w", err)
	}
	if err := SyncDir(filepath.Dir(to)); err != nil {
		return err
	}
	if filepath.Dir(from) == filepath.Dir(to) {
		return nil
	}
	return SyncDir(filepath.Dir(from))
}

// Remove deletes a file and syncs its directory, so that the file does not come back
// after a power cut.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing durably: %w", err)
	}
	return SyncDir(filepath.Dir(path))
}

// MkdirAll makes a directory and its missing parents, and syncs the parent of each one
// that it made.
func MkdirAll(dir string, mode fs.FileMode) error {
	switch st, err := os.Stat(dir); {
	case err == nil && st.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("making directory %q: a file of that name exists", dir)
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(parent, mode); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, mode); err != nil && !os.IsExist(err) {
		return fmt.Errorf("making directory: %w", err)
	}
	return SyncDir(parent)
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing directory %q: %w", dir, err)
	}
	return nil
}

// RemoveTemps deletes the temporary files that crashes left in a directory and returns
// how many. The caller must be the directory's only writer (see Lock): a temporary file
// of a running Write looks the same.
func RemoveTemps(dir string) (int, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("looking for temporary files: %w", err)
	}
	n := 0
	for _, d := range names {
		if !isTemp(d) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, d.Name())); err != nil && !os.IsNotExist(err) {
			return n, fmt.Errorf("removing a temporary file: %w", err)
		}
		n++
	}
	return n, nil
}

func isTemp(d fs.DirEntry) bool {
	return d.Type().IsRegular() && strings.HasPrefix(d.Name(), ".") && strings.Contains(d.Name(), tempMark)
}
