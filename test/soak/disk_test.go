package soak

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/test/parts"
)

const (
	storeBytes = 192 << 20 // room for the reports of an hour and more
	stateBytes = 64 << 20  // room for a spool that nobody empties for a while
)

// disk is a small file system of its own that can be filled. It is mounted nowhere: a link
// leads to it by way of this process's open files, so that it ends with the process,
// however that ends.
type disk struct {
	fd      int
	ballast string
}

// newDisk makes a disk of so many bytes, and path a link to it.
func newDisk(path string, bytes int) (*disk, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("opening a tmpfs: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "size", strconv.Itoa(bytes)); err != nil {
		return nil, fmt.Errorf("sizing a tmpfs: %w", err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("making a tmpfs: %w", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("mounting a tmpfs: %w", err)
	}
	root := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)
	if err := os.Symlink(root, path); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &disk{fd: fd, ballast: filepath.Join(root, "ballast")}, nil
}

// fill takes all room that is left.
func (d *disk) fill() error {
	f, err := os.Create(d.ballast)
	if err != nil {
		return fmt.Errorf("filling the disk: %w", err)
	}
	defer f.Close()
	size := int64(0)
	for step := int64(32 << 20); step >= 4<<10; {
		switch err := unix.Fallocate(int(f.Fd()), 0, size, step); {
		case err == nil:
			size += step
		case errors.Is(err, unix.ENOSPC):
			step /= 2
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("filling the disk: %w", err)
		}
	}
	return nil
}

// free gives the room back.
func (d *disk) free() error { return os.Remove(d.ballast) }

func (d *disk) close() { _ = unix.Close(d.fd) }

func TestDiskIsFullAndFreeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	d, err := newDisk(dir, stateBytes)
	if err != nil {
		parts.Missing(t, "no disk that can be filled on this machine: run the tests as root, on Linux 5.2 or newer: %v", err)
	}
	t.Cleanup(d.close)
	for n, full := range []bool{false, true, false} {
		change := d.free
		if full {
			change = d.fill
		}
		if err := change(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)), make([]byte, 64<<10), 0o600)
		if errors.Is(err, unix.ENOSPC) != full || !full && err != nil {
			t.Errorf("writing while full is %v: %v", full, err)
		}
	}
}
