package publish

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// childEnv names the spool of a child process, which is this test binary again.
const childEnv = "GOPPROF_TEST_SPOOL"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Fprintln(os.Stderr, spoolForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// printer is a Sender that acknowledges every second capture and says so.
type printer struct{ n int }

func (s *printer) PublishCapture(_ context.Context, c gopprof.Capture) error {
	if s.n++; s.n%2 == 0 {
		return errAway
	}
	_, err := fmt.Printf("sent %s\n", c.ID)
	return err
}

// spoolForever is the child: it says of each capture when Publish has promised to keep it.
func spoolForever(dir string) error {
	cfg := testConfig(dir)
	cfg.Senders = 1
	p, err := New(cfg, &printer{}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	go func() { _ = p.Run(context.Background()) }() // ends with the process
	for {
		id := newID()
		if err := p.Publish(context.Background(), crashCapture(id)); err != nil {
			return err
		}
		if _, err := fmt.Printf("kept %s\n", id); err != nil {
			return err
		}
	}
}

// crashCapture is the capture that child and parent mean by an ID.
func crashCapture(id string) gopprof.Capture {
	return capture(id, 100+int(id[len(id)-1])*1000, 5000)
}

// A process that is killed at any moment loses no capture that Publish has promised to
// keep, sends none that is not whole, and leaves a spool that works.
func TestKillLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds: run without -short")
	}
	dir := t.TempDir()
	kept, sent := map[string]bool{}, map[string]bool{}
	for range 10 {
		killed(t, dir, kept, sent)
	}
	n := &nats{}
	p := open(t, testConfig(dir), n)
	waiting, _ := p.Pending()
	run(t, p)
	poll(t, "the spool is empty", empty(p))
	for _, c := range n.got {
		if !reflect.DeepEqual(c, crashCapture(c.ID)) {
			t.Errorf("capture %s came with other content", c.ID)
		}
		sent[c.ID] = true
	}
	for id := range kept {
		if !sent[id] {
			t.Errorf("capture %s is lost", id)
		}
	}
	wantDropped(t, p, gopprof.ReasonSpoolTorn, 0)
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("the spool holds %q", got)
	}
	t.Logf("%d captures kept in ten lives, %d of them replayed", len(kept), waiting)
}

// killed lets a child live until it has kept some captures and a little longer.
func killed(t *testing.T, dir string, kept, sent map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); {
		verb, id, _ := strings.Cut(lines.Text(), " ")
		switch {
		case gopprof.CheckID(id) != nil: // the last line may be cut
		case verb == "sent":
			sent[id] = true
		case verb == "kept":
			kept[id] = true
			if n++; n == 5 {
				time.AfterFunc(rand.N(20*time.Millisecond), func() { _ = cmd.Process.Kill() })
			}
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the child ended by itself: %v %s", err, stderr.String())
	}
}
