package durable

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is the part of the file system that a durable write depends on; tests make each
// step of it fail.
type disk struct {
	create  func(dir, pattern string) (file, error)
	rename  func(from, to string) error
	remove  func(path string) error
	syncDir func(dir string) error
}

// file is what is needed of *os.File.
type file interface {
	io.Writer
	Name() string
	Chmod(fs.FileMode) error
	Sync() error
	Close() error
}

func realDisk() disk {
	return disk{
		create:  func(dir, pattern string) (file, error) { return os.CreateTemp(dir, pattern) },
		rename:  os.Rename,
		remove:  os.Remove,
		syncDir: SyncDir,
	}
}

func (d disk) write(path string, mode fs.FileMode, content func(io.Writer) error) error {
	dir := filepath.Dir(path)
	f, err := d.create(dir, "."+filepath.Base(path)+tempMark+"*")
	if err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	if err := fill(f, mode, content); err != nil {
		_ = d.remove(f.Name()) // the write has failed already; RemoveTemps takes what stays
		return fmt.Errorf("writing %q: %w", path, err)
	}
	if err := d.rename(f.Name(), path); err != nil {
		_ = d.remove(f.Name())
		return fmt.Errorf("writing %q: %w", path, err)
	}
	if err := d.syncDir(dir); err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	return nil
}

// fill writes the content and brings it to the disk. It always closes the file.
func fill(f file, mode fs.FileMode, content func(io.Writer) error) error {
	err := content(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
