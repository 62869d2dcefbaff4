package publish

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestSpooledThenSentThenDeleted(t *testing.T) {
	cfg, n := testConfig(filepath.Join(t.TempDir(), "made", "by", "New")), &nats{}
	p := open(t, cfg, n)
	c := capture(newID(), 1000, 2000)
	mustPublish(t, p, c)
	st, err := os.Stat(entryPath(cfg, c.ID))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("entry %v, %v, want a file that only its owner reads", st, err)
	}
	if count, size := p.Pending(); count != 1 || size != st.Size() {
		t.Errorf("pending %d of %d bytes, want 1 of %d", count, size, st.Size())
	}
	run(t, p)
	poll(t, "the spool is empty", empty(p))
	if len(n.got) != 1 || !reflect.DeepEqual(n.got[0], c) {
		t.Errorf("sent %+v, want %+v", n.got, c)
	}
	if got := files(t, cfg.Dir); len(got) != 0 {
		t.Errorf("the spool holds %q", got)
	}
}

func TestSameIDAgain(t *testing.T) {
	n := &nats{}
	p := open(t, testConfig(t.TempDir()), n)
	c := capture(newID(), 1000)
	other := capture(c.ID, 1001)
	for _, when := range []string{"waiting", "sent"} {
		mustPublish(t, p, c, c)
		err := p.Publish(t.Context(), other)
		if !errors.Is(err, ErrDifferent) || gopprof.ReasonOf(err) != gopprof.ReasonBytesWrong {
			t.Errorf("%s: another capture under the ID: %v, want ErrDifferent", when, err)
		}
		if when == "waiting" {
			run(t, p)
			poll(t, "the spool is empty", empty(p))
		}
	}
	if count, _ := p.Pending(); count != 0 {
		t.Errorf("%d spooled again", count)
	}
	wantIDs(t, n.ids(), c.ID)
}

func TestCapturesThatMayNotBeSpooled(t *testing.T) {
	tests := map[string]struct {
		spoil func(*gopprof.Capture)
		want  gopprof.Reason
	}{
		"no ID":       {func(c *gopprof.Capture) { c.ID = "../../etc/passwd" }, gopprof.ReasonBytesWrong},
		"other bytes": {func(c *gopprof.Capture) { c.Profiles[0].Bytes = content("x", 1000) }, gopprof.ReasonBytesWrong},
		"cut bytes":   {func(c *gopprof.Capture) { c.Profiles[0].Bytes = c.Profiles[0].Bytes[:999] }, gopprof.ReasonBytesWrong},
		"too large":   {func(c *gopprof.Capture) { *c = capture(c.ID, 2<<20) }, gopprof.ReasonTooLarge},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			cfg.MaxBytes = 1 << 20
			p := open(t, cfg, &nats{refuse: away})
			c := capture(newID(), 1000)
			tt.spoil(&c)
			err := p.Publish(t.Context(), c)
			if got := gopprof.ReasonOf(err); got != tt.want {
				t.Errorf("reason %q (%v), want %q", got, err, tt.want)
			}
			if got := files(t, cfg.Dir); len(got) != 0 {
				t.Errorf("the spool holds %q", got)
			}
			if got := testutil.ToFloat64(p.metrics.refused.WithLabelValues(string(tt.want))); got != 1 {
				t.Errorf("%v counted as refused, want 1", got)
			}
		})
	}
}

func TestReplayAfterARestart(t *testing.T) {
	cfg, n := testConfig(t.TempDir()), &nats{refuse: away}
	first := open(t, cfg, n)
	a, b, c := capture(newID(), 10), capture(newID(), 20), capture(newID(), 30)
	mustPublish(t, first, b, a)
	stop := run(t, first)
	poll(t, "each was tried", func() bool { return n.tried(a.ID) > 0 && n.tried(b.ID) > 0 })
	stop()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Minute) // files of one moment have no order but their IDs'
	if err := os.Chtimes(entryPath(cfg, b.ID), before, before); err != nil {
		t.Fatal(err)
	}
	n.set(nil)
	cfg.Senders = 1
	second := open(t, cfg, n)
	mustPublish(t, second, c)
	run(t, second)
	poll(t, "the spool is empty", empty(second))
	wantIDs(t, n.ids(), b.ID, a.ID, c.ID) // in the order in which they came
	for i, want := range []gopprof.Capture{b, a, c} {
		if !reflect.DeepEqual(n.got[i], want) {
			t.Errorf("capture %d: %+v, want %+v", i, n.got[i], want)
		}
	}
}

func TestTornEntriesAreMovedAsideAndHoldNobodyUp(t *testing.T) {
	cfg, n := testConfig(t.TempDir()), &nats{}
	first := open(t, cfg, n)
	var all []string
	for range 7 {
		c := capture(newID(), 500)
		mustPublish(t, first, c)
		all = append(all, c.ID)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for i, id := range all[:6] {
		if err := os.Truncate(entryPath(cfg, id), int64(i*100)); err != nil {
			t.Fatal(err)
		}
	}
	logs, seen := observer.New(zap.WarnLevel)
	second := openLogged(t, cfg, n, zap.New(logs))
	run(t, second)
	poll(t, "the spool is empty", empty(second))
	wantIDs(t, n.ids(), all[6])
	wantDropped(t, second, gopprof.ReasonSpoolTorn, 6)
	if n := seen.FilterField(zap.String("reason", "spool_torn")).Len(); n != 6 {
		t.Errorf("%d logged as torn, want 6", n)
	}
	if got := files(t, cfg.Dir); !slices.Equal(got, []string{asideDir}) {
		t.Errorf("the spool holds %q, want what was moved aside", got)
	}
	if got := files(t, filepath.Join(cfg.Dir, asideDir)); len(got) != asideMost {
		t.Errorf("%q were kept, want %d", got, asideMost)
	}
}

// An entry under another's name would be sent under an ID that is not the file's.
func TestRenamedEntryIsTorn(t *testing.T) {
	cfg, n := testConfig(t.TempDir()), &nats{}
	first := open(t, cfg, n)
	c := capture(newID(), 100)
	mustPublish(t, first, c)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(entryPath(cfg, c.ID), entryPath(cfg, newID())); err != nil {
		t.Fatal(err)
	}
	second := open(t, cfg, n)
	run(t, second)
	poll(t, "the spool is empty", empty(second))
	wantIDs(t, n.ids())
	wantDropped(t, second, gopprof.ReasonSpoolTorn, 1)
}

func TestTornEntryIsReplacedByTheSameCapture(t *testing.T) {
	cfg, n := testConfig(t.TempDir()), &nats{}
	p := open(t, cfg, n)
	c := capture(newID(), 100)
	mustPublish(t, p, c)
	if err := os.Truncate(entryPath(cfg, c.ID), 10); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, p, c)
	run(t, p)
	poll(t, "the spool is empty", empty(p))
	wantIDs(t, n.ids(), c.ID)
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	cfg := testConfig(t.TempDir())
	for _, name := range []string{"README", "x.capture", ".01938f00-0000-7000-8000-000000000001.capture.tmp-77"} {
		if err := os.WriteFile(filepath.Join(cfg.Dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := open(t, cfg, &nats{})
	if !empty(p)() {
		t.Error("foreign files wait to be sent")
	}
	if got := files(t, cfg.Dir); !slices.Equal(got, []string{"README", "x.capture"}) {
		t.Errorf("the spool holds %q, want only the temporary file gone", got)
	}
}

func TestOldestAreDroppedAtTheBound(t *testing.T) {
	cfg, n := testConfig(t.TempDir()), &nats{}
	cfg.MaxBytes = 1 << 20
	logs, seen := observer.New(zap.WarnLevel)
	p := openLogged(t, cfg, n, zap.New(logs))
	var all []string
	for range 6 {
		c := capture(newID(), 300<<10)
		mustPublish(t, p, c)
		all = append(all, c.ID)
		if _, size := p.Pending(); size > cfg.MaxBytes {
			t.Errorf("%d bytes in the spool, above the bound", size)
		}
	}
	wantDropped(t, p, gopprof.ReasonSpoolFull, 3)
	for i, entry := range seen.FilterField(zap.String("reason", "spool_full")).All() {
		if id := entry.ContextMap()["capture"]; id != all[i] {
			t.Errorf("dropped %v, want the oldest, %s", id, all[i])
		}
	}
	if got := files(t, cfg.Dir); len(got) != 3 {
		t.Errorf("the spool holds %q", got)
	}
	run(t, p)
	poll(t, "the spool is empty", empty(p))
	got := n.ids()
	slices.Sort(got)
	wantIDs(t, got, all[3:]...)
}

// What has just been taken over is never what is dropped, though its ID be the oldest.
func TestNewestIsKeptWhateverItsID(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MaxBytes = 1 << 20
	p := open(t, cfg, &nats{})
	early, late := newID(), newID()
	mustPublish(t, p, capture(late, 600<<10), capture(early, 600<<10))
	if got := files(t, cfg.Dir); !slices.Equal(got, []string{early + suffix}) {
		t.Errorf("the spool holds %q, want %s", got, early)
	}
}

func TestLowerBoundAfterARestart(t *testing.T) {
	cfg := testConfig(t.TempDir())
	first := open(t, cfg, &nats{})
	mustPublish(t, first, capture(newID(), 700<<10), capture(newID(), 700<<10))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.MaxBytes = 1 << 20
	second := open(t, cfg, &nats{})
	if count, _ := second.Pending(); count != 1 {
		t.Errorf("%d wait, want 1", count)
	}
	wantDropped(t, second, gopprof.ReasonSpoolFull, 1)
}

func TestOneProcessPerSpool(t *testing.T) {
	cfg := testConfig(t.TempDir())
	open(t, cfg, &nats{})
	if _, err := New(cfg, &nats{}, zap.NewNop(), prometheus.NewRegistry()); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("a second publisher: %v, want ErrLocked", err)
	}
}

func TestSentAtOnceWhenTheDiskFails(t *testing.T) {
	n := &nats{}
	cfg := testConfig(t.TempDir())
	cfg.MaxBytes = 1 << 20
	p := open(t, cfg, n)
	p.write = func(string, fs.FileMode, func(io.Writer) error) error { return errors.New("input/output error") }
	c := capture(newID(), 100)
	mustPublish(t, p, c)
	wantIDs(t, n.ids(), c.ID)
	large := capture(newID(), int(p.cfg.MaxBytes)+1)
	mustPublish(t, p, large)
	wantIDs(t, n.ids(), c.ID, large.ID)
	n.set(away)
	err := p.Publish(t.Context(), capture(newID(), 100))
	if gopprof.ReasonOf(err) != gopprof.ReasonSpoolFailed || !errors.Is(err, errAway) {
		t.Errorf("neither disk nor NATS: %v, want spool_failed with both causes", err)
	}
	if !empty(p)() {
		t.Error("what could not be written waits")
	}
}

// Without a disk the capture is in memory, and whoever took it waits: a NATS that says nothing
// has no longer than for one out of the spool.
func TestSentAtOnceToASilentNATS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, testConfig(t.TempDir()), &nats{refuse: func(ctx context.Context, _ gopprof.Capture) error { <-ctx.Done(); return ctx.Err() }})
		p.write = func(string, fs.FileMode, func(io.Writer) error) error { return errors.New("input/output error") }
		begin := time.Now()
		err := p.Publish(t.Context(), capture(newID(), 100))
		if took := time.Since(begin); took != p.cfg.SendTimeout || gopprof.ReasonOf(err) != gopprof.ReasonSpoolFailed {
			t.Errorf("given up after %s, want %s: %v", took, p.cfg.SendTimeout, err)
		}
	})
}

// Of what was sent no more is remembered than so much, however long the agent runs.
func TestWhatWasSentIsForgotten(t *testing.T) {
	log := sentLog{sums: map[string]digest{}}
	for i := range 3 * sentMax {
		log.put(strconv.Itoa(i), digest{})
		log.put(strconv.Itoa(i), digest{}) // sent again
	}
	if len(log.sums) != sentMax || len(log.ids) != sentMax {
		t.Errorf("%d remembered in %d places, want %d", len(log.sums), len(log.ids), sentMax)
	}
	if _, ok := log.get(strconv.Itoa(3*sentMax - 1)); !ok {
		t.Error("the newest is not known")
	}
}

func TestConfigMistakes(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		key    string
	}{
		"defaults":    {func(*Config) {}, ""},
		"no dir yet":  {func(c *Config) { c.Dir = "" }, ""},
		"no room":     {func(c *Config) { c.MaxBytes = 1 << 19 }, "max_bytes"},
		"no sender":   {func(c *Config) { c.Senders = 0 }, "senders"},
		"no time":     {func(c *Config) { c.SendTimeout = 0 }, "send_timeout"},
		"no wait":     {func(c *Config) { c.RetryMin = 0 }, "retry_min"},
		"waits cross": {func(c *Config) { c.RetryMax = time.Microsecond }, "retry_max"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig()
			tt.change(&c)
			got := ""
			c.Check(func(key, _ string) { got += key })
			if got != tt.key {
				t.Errorf("mistakes in %q, want %q", got, tt.key)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, testConfig(t.TempDir()), &nats{}).Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestNewNeedsADirectory(t *testing.T) {
	if _, err := New(DefaultConfig(), nil, zap.NewNop(), prometheus.NewRegistry()); err == nil {
		t.Error("a spool without a directory")
	}
}
