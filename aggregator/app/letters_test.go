package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/ops"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/test/hostile"
	"github.com/gopprof/gopprof/test/poll"
)

// port is the status port of an aggregator of the scene.
func (s *scene) port(t *testing.T) ops.ServerConfig {
	t.Helper()
	reg := prometheus.NewRegistry()
	server := httptest.NewServer(ops.Handler(reg, ops.NewHealth(time.Now), newLetterBox(s.bus, s.store(), reg).handlers()))
	t.Cleanup(server.Close)
	return ops.ServerConfig{Listen: strings.TrimPrefix(server.URL, "http://")}
}

// listed is what --dead-letters prints, by line and tab.
func listed(t *testing.T, port ops.ServerConfig) (letters [][]string) {
	t.Helper()
	var out bytes.Buffer
	if err := DeadLetters(t.Context(), port, &out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		letters = append(letters, strings.Split(strings.TrimSpace(line), "\t"))
	}
	return letters
}

// replayed is what --replay prints.
func replayed(t *testing.T, port ops.ServerConfig, id string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Replay(t.Context(), port, id, &out)
	return out.String(), err
}

// again publishes a capture whose ID NATS may know.
func (s *scene) again(t *testing.T, c gopprof.Capture) {
	t.Helper()
	streams := bus.DefaultStreamConfig()
	streams.DedupeWindow = 100 * time.Millisecond
	if err := s.bus.EnsureStreams(t.Context(), streams); err != nil {
		t.Fatal(err)
	}
	agent := s.b.Agent(c.Target.Node)
	poll.Until(t, "it is in the queue", func() bool {
		if err := agent.PublishCapture(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		return s.b.Messages(bus.StreamCaptures) == 1
	})
}

// work is an aggregator that handles all that waits, and ends.
func (s *scene) work() {
	s.t.Helper()
	_, stop, wait := s.start("")
	s.settled()
	stop()
	wait()
}

// bury puts a capture among the dead letters by hand.
func (s *scene) bury(t *testing.T, c gopprof.Capture, do func(context.Context, *bus.Delivery) error) {
	t.Helper()
	s.again(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), poll.Patience)
	ended := make(chan error, 1)
	go func() {
		ended <- s.bus.Captures(ctx, 1, func(ctx context.Context, d *bus.Delivery) {
			if err := do(ctx, d); err != nil {
				t.Error(err)
			}
			cancel()
		})
	}()
	if err := <-ended; err != nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatal("nothing was delivered:", err)
	}
}

func died(ctx context.Context, d *bus.Delivery) error {
	return d.DeadLetter(ctx, gopprof.ReasonWorkerDied, "by hand")
}

func withoutBytes(ctx context.Context, d *bus.Delivery) error {
	if err := d.RemoveBytes(ctx); err != nil {
		return err
	}
	return died(ctx, d)
}

// A capture that kills its workers goes to the dead letters after three, beside others that
// are handled; after the mend it is replayed, and becomes one report like any other.
func TestCaptureThatKillsItsWorkersIsReplayedAfterTheMend(t *testing.T) {
	s := newScene(t)
	s.draw = func(p *process, data []byte) ([]byte, error) {
		if data[0] == 'k' {
			p.die()
		}
		return []byte("<svg/>"), nil
	}
	port, killer, good := s.port(t), s.ask("k"), s.ask("g")
	s.publish(killer)
	for range 3 {
		_, _, wait := s.start("")
		wait() // until it was killed
	}
	s.publish(good)
	s.work()

	if oc := s.operation(t, killer); oc.State != gopprof.CaptureFailed || oc.Reason != gopprof.ReasonWorkerDied {
		t.Errorf("the operation says %+v", oc)
	}
	letters := listed(t, port)
	if len(letters) != 1 || len(letters[0]) != 5 || letters[0][0] != killer.ID || letters[0][1] != "worker_died" ||
		letters[0][3] != "shop/api-0/app@test/a" || !strings.HasPrefix(letters[0][4], "3 workers") {
		t.Fatalf("listed %q", letters)
	}
	s.draw = nil // the mend
	if out, err := replayed(t, port, killer.ID); err != nil || out != killer.ID+" is back in the queue\n" {
		t.Errorf("%q, %v", out, err)
	}
	s.work()
	s.reported(t, killer)
	s.reported(t, good)
	if n := s.b.Messages(bus.StreamReports); n != 2 {
		t.Errorf("%d reports, want 2: each once", n)
	}
	if letters := listed(t, port); len(letters) != 0 {
		t.Errorf("listed %q after the replay", letters)
	}
	if out, err := replayed(t, port, killer.ID); err == nil || err.Error() != "no dead letter of that ID" {
		t.Errorf("a second time: %q, %v", out, err)
	}
}

// A letter that cannot be replayed is refused by name and stays; it holds up no other, not
// even one that came under its ID.
func TestReplayOfAllGoesOnBehindARefusal(t *testing.T) {
	s := newScene(t)
	port, lost, good := s.port(t), s.ask("l"), s.ask("g")
	same := good
	same.Target.Node = "b" // another node's capture of the same ID
	s.bury(t, lost, withoutBytes)
	s.bury(t, same, withoutBytes)
	s.bury(t, good, died)
	out, err := replayed(t, port, "all")
	if err == nil || !strings.HasPrefix(err.Error(), lost.ID+": bytes_lost: ") || out != good.ID+" is back in the queue\n" {
		t.Errorf("%q, %v", out, err)
	}
	if letters := listed(t, port); len(letters) != 2 || letters[0][0] != lost.ID || !strings.HasSuffix(letters[1][3], "@test/b") {
		t.Errorf("listed %q, want what has lost its bytes", letters)
	}
	if out, err := replayed(t, port, "a.b"); err == nil {
		t.Errorf("no ID at all: %q", out)
	}
	s.work()
	if _, ok, err := s.store().Committed(t.Context(), good); err != nil || !ok {
		t.Errorf("the good one is not stored: %v", err)
	}
}

// A capture whose report is stored needs no bytes: replayed, it is announced again and
// ended, and its report stays the one there is.
func TestReplayOfWhatIsStoredAlready(t *testing.T) {
	s := newScene(t)
	port, c := s.port(t), s.ask("x")
	s.publish(c)
	for range 3 {
		_, _, wait := s.start("forget starts")
		wait() // until it was killed, when all but the end was done
	}
	s.work()
	if letters := listed(t, port); len(letters) != 1 || letters[0][1] != "worker_died" {
		t.Fatalf("listed %q", letters)
	}
	if out, err := replayed(t, port, "all"); err != nil || out != c.ID+" is back in the queue\n" {
		t.Errorf("%q, %v", out, err)
	}
	s.work()
	s.reported(t, c)
	if n := s.b.Messages(bus.StreamReports); n != 1 || len(listed(t, port)) != 0 {
		t.Errorf("%d reports, want 1, and no letter", n)
	}
}

// The letter of a capture that waits in the queue stays, and that is no failure.
func TestReplayOfWhatWaitsAlready(t *testing.T) {
	s := newScene(t)
	port, c := s.port(t), s.ask("x")
	s.bury(t, c, died)
	s.again(t, c)
	if out, err := replayed(t, port, "all"); err != nil || out != c.ID+" waits in the queue already; its letter stays\n" {
		t.Errorf("%q, %v", out, err)
	}
	if letters := listed(t, port); len(letters) != 1 {
		t.Errorf("listed %q", letters)
	}
}

// A page in somebody's browser reaches loopback; it must not set anything in motion.
func TestPagesInBrowsersReplayNothing(t *testing.T) {
	s := newScene(t)
	port := s.port(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+port.Listen+lettersPath+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestDeadLettersWhileNATSIsAway(t *testing.T) {
	s := newScene(t)
	port := s.port(t)
	s.b.Stop()
	poll.Until(t, "the connection is lost", func() bool { return s.bus.Connected() != nil })
	if err := DeadLetters(t.Context(), port, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), bus.ErrAway.Error()) {
		t.Errorf("%v, want that nats is away", err)
	}
	if _, err := replayed(t, port, "x"); err == nil || !strings.Contains(err.Error(), bus.ErrAway.Error()) {
		t.Errorf("%v, want that nats is away", err)
	}
}

// FuzzLetters: whatever a list of letters holds, each of its letters is asked for once, at a
// path of its own, or it is no list; and what is listed of any letter is a line that is read
// as that letter.
func FuzzLetters(f *testing.F) {
	f.Add("", "")
	f.Add("a\tworker_died\t2026-11-22T03:04:05Z\tshop/api-0/app@test/a\t3 workers\na\t\t\t\t\nb\n", "a")
	f.Add("..\n", "..")
	f.Add("\n\n", "%")
	f.Add("<html>\n", "a/b?c#d")
	f.Add("a\n"+strings.Repeat("b", 70_000)+"\nc\n", strings.Repeat("x", 1000))
	for _, name := range hostile.Names() {
		f.Add(name, name)
		f.Add(bus.Token(name)+"\t"+name+"\n", name)
	}
	f.Fuzz(func(t *testing.T, list, name string) {
		checkList(t, list)
		l := &bus.Letter{ID: bus.Token(name), Reason: gopprof.ReasonWorkerDied, At: time.Unix(0, 0), Cluster: name, Node: name, Detail: profile.Printable(name, 100)}
		for _, l.Err = range []error{nil, bus.ErrUndecodable} {
			l.Capture.Target = gopprof.Target{Cluster: name, Node: name, Namespace: name, Pod: name, Container: name}
			line := lineOf(l)
			if len(line) > 3*len(name)+2000 || strings.Count(line, "\t") != 4 || strings.ContainsFunc(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", ""), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%d bytes: %q", len(line), line)
			}
			if ids, err := lettersIn(strings.NewReader(line + line)); len(line) < bufio.MaxScanTokenSize && (err != nil || len(ids) != 1 || ids[0] != l.ID) {
				t.Errorf("%q is read as %q, %v", line, ids, err)
			}
		}
	})
}

func checkList(t *testing.T, list string) {
	t.Helper()
	ids, err := lettersIn(strings.NewReader(list))
	if err != nil {
		return
	}
	if lines := strings.Count(list, "\n") + 1; len(ids) > lines {
		t.Errorf("%d letters on %d lines", len(ids), lines)
	}
	for i, id := range ids {
		at, err := url.Parse("http://127.0.0.1:1" + lettersPath + "/" + url.PathEscape(id))
		if err != nil || at.Path != lettersPath+"/"+id || path.Clean(at.Path) != at.Path || path.Dir(at.Path) != lettersPath || slices.Contains(ids[:i], id) {
			t.Errorf("letter %q is at %v, %v", id, at, err)
		}
		if !strings.Contains(list, id) {
			t.Errorf("letter %q is not in the list", id)
		}
	}
	for line := range strings.Lines(list) {
		id, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "\t")
		if !slices.Contains(ids, id) {
			t.Errorf("letter %q was passed over", id)
		}
	}
}
