package publish

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"golang.org/x/sys/unix"
)

const fullEnv = "GOPPROF_TEST_SMALL_DISK"

// TestDiskFull runs itself again in a mount namespace of its own, on a real file system of
// 256 KiB.
func TestDiskFull(t *testing.T) {
	if os.Getenv(fullEnv) != "" {
		dir := t.TempDir()
		mountSmall(t, dir)
		diskFull(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
	cmd.Env = append(os.Environ(), fullEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("no mount namespace on this machine: %v", err)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	}
}

// mountSmall mounts in this process's namespace only; it ends with the process.
func mountSmall(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("making mounts private: %v", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatalf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func diskFull(t *testing.T, dir string) {
	t.Helper()
	cfg, n := testConfig(dir), &nats{refuse: away}
	p := open(t, cfg, n)
	small := capture(newID(), 50<<10)
	mustPublish(t, p, small)
	large := capture(newID(), 1<<20)
	err := p.Publish(t.Context(), large)
	if gopprof.ReasonOf(err) != gopprof.ReasonSpoolFailed || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("on a full disk: %v, want spool_failed for lack of space", err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("the spool holds %q, want what was there before", got)
	}
	mustPublish(t, p, capture(newID(), 50<<10)) // what fits is kept
	n.set(nil)
	mustPublish(t, p, large) // NATS has it though the disk has not
	run(t, p)
	poll(t, "the spool is empty", empty(p))
	if got := n.ids(); len(got) != 3 || got[0] != large.ID {
		t.Errorf("sent %q", got)
	}
	startsFull(t, dir)
}

// startsFull restarts the agent on a disk without a byte to spare, one entry torn.
func startsFull(t *testing.T, dir string) {
	t.Helper()
	cfg, n := testConfig(filepath.Join(dir, "spool")), &nats{refuse: away}
	first := open(t, cfg, n)
	good, torn := capture(newID(), 30<<10), capture(newID(), 30<<10)
	mustPublish(t, first, good, torn)
	if err := errors.Join(first.Close(), os.Truncate(entryPath(cfg, torn.ID), 30<<10)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	second := open(t, cfg, n)
	run(t, second)
	n.set(nil)
	poll(t, "the spool is empty", empty(second))
	wantIDs(t, n.ids(), good.ID)
	wantDropped(t, second, gopprof.ReasonSpoolTorn, 1)
}
