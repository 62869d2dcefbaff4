// Package smalldisk runs a test on a real file system that can be filled to its last byte.
//
// A test and a size enter; the test runs again in a process of its own, whose mounts nobody
// else sees and which end with it. Nothing of the machine's is ever full.
package smalldisk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/test/child"
	"github.com/gopprof/gopprof/test/parts"
)

const env = "GOPPROF_TEST_SMALL_DISK"

// Run runs on in a process of its own, with a directory that is a disk of that size
// ("256k", as tmpfs reads it). It must be all that the test does, and the test no subtest.
func Run(t *testing.T, size string, on func(t *testing.T, dir string)) {
	t.Helper()
	if os.Getenv(env) != "" {
		dir := t.TempDir()
		mount(t, dir, size)
		on(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), env+"=1")
	cmd.SysProcAttr = child.InNamespaces(syscall.CLONE_NEWNS)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		parts.Missing(t, "no mount namespace on this machine: run the tests as root, or allow user namespaces: %v", err)
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("on a small disk: %v\n%s", err, out)
	}
}

// mount mounts in this process's namespace only; it ends with the process.
func mount(t *testing.T, dir, size string) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("making mounts private: %v", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// Fill leaves not a byte of a small disk, and returns what gives it all back.
func Fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 64<<10))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
