package publish

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/smalldisk"
	"golang.org/x/sys/unix"
)

// TestDiskFull: on a real file system of 256 KiB.
func TestDiskFull(t *testing.T) { smalldisk.Run(t, "256k", diskFull) }

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
	smalldisk.Fill(t, dir)
	second := open(t, cfg, n)
	run(t, second)
	n.set(nil)
	poll(t, "the spool is empty", empty(second))
	wantIDs(t, n.ids(), good.ID)
	wantDropped(t, second, gopprof.ReasonSpoolTorn, 1)
}
