// Package examples runs what docs/nats.md gives to downstream consumers, as they would: against
// the real server, with a user who may read one namespace only.
package examples

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/poll"
)

// scene is a server with two consumers, of one namespace each.
type scene struct {
	t   *testing.T
	bus *bustest.Bus
	agg *bus.Aggregator
	key string // file of the seed of the consumer "shop"
}

func start(t *testing.T) *scene {
	t.Helper()
	shopFile, shopKey := bustest.NewKeyFile(t)
	_, bankKey := bustest.NewKeyFile(t)
	streams := bus.DefaultStreamConfig()
	streams.AckWait = time.Second // what was not acknowledged comes again soon
	s := &scene{t: t, key: shopFile, bus: bustest.Start(t, bustest.Options{Streams: &streams, Consumers: []embedded.ConsumerUser{
		{Name: "shop", NKey: shopKey, Namespaces: []string{"shop"}}, {Name: "bank", NKey: bankKey, Namespaces: []string{"bank"}},
	}})}
	s.connect(s.bus.Aggregator())
	return s
}

func (s *scene) connect(agg *bus.Aggregator) {
	s.t.Helper()
	s.agg = agg
	if err := agg.EnsureReaders(s.t.Context(), []bus.Reader{{Name: "shop", Namespaces: []string{"shop"}}, {Name: "bank", Namespaces: []string{"bank"}}}); err != nil {
		s.t.Fatal(err)
	}
}

// publish publishes so many reports of the namespace shop, each behind one of bank, and
// returns the IDs of those of shop.
func (s *scene) publish(n int) []string {
	s.t.Helper()
	var ids []string
	for range n {
		s.report("bank")
		ids = append(ids, s.report("shop"))
	}
	return ids
}

func (s *scene) report(namespace string) string {
	s.t.Helper()
	id, incident := uuid.Must(uuid.NewV7()).String(), uuid.Must(uuid.NewV7()).String()
	at := time.Now()
	c := gopprof.Capture{
		ID: id, Incident: incident, Start: at, End: at, Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, At: at, Request: &gopprof.Request{Who: "alice"}},
		Target: gopprof.Target{Cluster: bustest.Cluster, Node: "node-1", Namespace: namespace, Pod: "web-0", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}},
	}
	r := gopprof.Report{Version: gopprof.ReportVersion, ID: id, Capture: c, MadeAt: at, Explanation: gopprof.Explanation{Summary: "web burns in main.spin"}}
	if err := s.agg.PublishReport(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
	return id
}

// program is a running example.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr string // a file
}

// complaints are what it has said on stderr.
func (p *program) complaints() string {
	p.t.Helper()
	text, err := os.ReadFile(p.stderr)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// consumer starts docs/examples/consumer as the consumer of that name.
func (s *scene) consumer(binary, name, dir string) *program {
	s.t.Helper()
	p := &program{t: s.t, cmd: exec.Command(binary, "-url", s.bus.Server.URL(), "-name", name, "-key", s.key, "-dir", dir), stderr: filepath.Join(s.t.TempDir(), "stderr")}
	complaints, err := os.Create(p.stderr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer complaints.Close() //nolint:errcheck // the program has its own
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	p.lines, p.cmd.Stderr = bufio.NewScanner(out), complaints
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it has ended before, if nothing failed
	return p
}

// next returns the IDs of the next n reports that it tells of.
func (p *program) next(n int) []string {
	p.t.Helper()
	watchdog := time.AfterFunc(poll.Patience, func() { _ = p.cmd.Process.Kill() })
	defer watchdog.Stop()
	var ids []string
	for len(ids) < n && p.lines.Scan() {
		ids = append(ids, p.told())
	}
	if len(ids) < n {
		p.t.Fatalf("it told of %d reports, want %d", len(ids), n)
	}
	return ids
}

func (p *program) told() string {
	id, rest, _ := strings.Cut(p.lines.Text(), " ")
	if rest != "shop/web-0: web burns in main.spin" {
		p.t.Errorf("it says %q", p.lines.Text())
	}
	return id
}

// end sends a signal and returns what it still tells of, and how it ended.
func (p *program) end(signal os.Signal) ([]string, error) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Fatal(err)
	}
	var ids []string
	for p.lines.Scan() {
		ids = append(ids, p.told())
	}
	return ids, p.cmd.Wait()
}

func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "consumer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./consumer").CombinedOutput(); err != nil {
		t.Fatalf("building the consumer: %v: %s", err, out)
	}
	return path
}

// kept are the IDs of the reports in a directory.
func kept(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		var event struct {
			ID string `json:"id"`
		}
		if err != nil || json.Unmarshal(data, &event) != nil || event.ID+".json" != filepath.Base(f) {
			t.Errorf("%s: %v, or not its report", f, err)
		}
		ids = append(ids, event.ID)
	}
	return ids
}

// same compares without order: what was delivered and not acknowledged comes later again.
func same(got, want []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
}

// TestConsumer stops the program in the middle, kills it, and takes NATS away from it: every
// report of its namespace is told of and kept once, and none of another's.
func TestConsumer(t *testing.T) {
	t.Parallel()
	binary, s, dir := build(t), start(t), filepath.Join(t.TempDir(), "reports")
	want := s.publish(8)

	first := s.consumer(binary, "shop", dir)
	told := first.next(3)
	more, err := first.end(syscall.SIGTERM)
	if err != nil {
		t.Errorf("stopped: %v: %s", err, first.complaints())
	}
	told = append(told, more...)

	killed := s.consumer(binary, "shop", dir)
	want = append(want, s.publish(4)...)
	told = append(told, killed.next(len(want)-len(told)-2)...)
	more, _ = killed.end(syscall.SIGKILL) // the error is the signal
	told = append(told, more...)

	last := s.consumer(binary, "shop", dir)
	want = append(want, s.publish(2)...)
	told = append(told, last.next(2)...) // at the least
	s.bus.Stop()
	s.connect(s.bus.Restart())
	want = append(want, s.publish(2)...)
	poll.Until(t, "everything is kept", func() bool { return len(kept(t, dir)) == len(want) })
	more, err = last.end(syscall.SIGTERM)
	if err != nil {
		t.Errorf("stopped: %v: %s", err, last.complaints())
	}
	told = append(told, more...)

	if got := kept(t, dir); !same(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	s.toldOnce(told, want)
}

// toldOnce allows that the killed program had kept one report and not told of it yet.
func (s *scene) toldOnce(told, want []string) {
	s.t.Helper()
	times := map[string]int{}
	for _, id := range told {
		times[id]++
	}
	missing := 0
	for _, id := range want {
		switch times[id] {
		case 0:
			missing++
		case 1:
		default:
			s.t.Errorf("told %d times of %s", times[id], id)
		}
		delete(times, id)
	}
	if missing > 1 || len(times) > 0 {
		s.t.Errorf("not told of %d, and of others: %v", missing, slices.Collect(maps.Keys(times)))
	}
}

// TestConsumerOfAnother: the key of one consumer and the name of another's.
func TestConsumerOfAnother(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(1)
	p := s.consumer(build(t), "bank", t.TempDir())
	if p.lines.Scan() {
		t.Errorf("it says %q", p.lines.Text())
	}
	if err := p.cmd.Wait(); err == nil || !strings.Contains(p.complaints(), "permissions violation") {
		t.Errorf("%v: %s", err, p.complaints())
	}
}

// TestConsumerIsRefusedForAWhile: a server that does not know its key, as when the aggregator
// was started with another list of consumers, does not end it for good.
func TestConsumerIsRefusedForAWhile(t *testing.T) {
	t.Parallel()
	s := start(t)
	want := s.publish(1)
	p := s.consumer(build(t), "shop", t.TempDir())
	got := p.next(1)
	s.bus.Stop()
	c := embedded.DefaultConfig()
	c.Listen, c.Dir = strings.TrimPrefix(s.bus.Server.URL(), "nats://"), t.TempDir()
	stranger, err := embedded.Start(c, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "it is refused three times", func() bool { return strings.Count(p.complaints(), "authorization violation") >= 3 })
	stranger.Shutdown()
	s.connect(s.bus.Restart())
	want = append(want, s.publish(1)...)
	got = append(got, p.next(1)...)
	if _, err := p.end(syscall.SIGTERM); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, told of %v, want %v: %s", err, got, want, p.complaints())
	}
}

// cli runs a command with the nats command at hand, as the consumer shop, or that command
// itself if none is given. wait is how long it waits for each answer.
func (s *scene) cli(wait, command string, args ...string) (stdout, stderr string, err error) {
	s.t.Helper()
	nats, err := parts.Binary("nats")
	if err != nil {
		s.t.Fatal(err)
	}
	if command == "" {
		command = nats
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), poll.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Env = append(os.Environ(), "NATS_CLI="+nats, "NATS_URL="+s.bus.Server.URL(), "NATS_NKEY="+s.key, "NATS_TIMEOUT="+wait, "HOME="+s.t.TempDir())
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	err = cmd.Run()
	return out.String(), failed.String(), err
}

// TestCLI: the script stops in the middle and gets the rest the next time.
func TestCLI(t *testing.T) {
	t.Parallel()
	s := start(t)
	want := s.publish(4)
	var got []string
	for _, args := range [][]string{{"shop", "1"}, {"shop"}, {"shop"}} {
		out, failed, err := s.cli("1m", "./nats-cli.sh", args...)
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, failed)
		}
		for line := range strings.Lines(out) {
			var event struct {
				ID string `json:"id"`
			}
			if strings.TrimSpace(line) == "" {
				continue
			}
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			got = append(got, event.ID)
		}
		if len(args) == 2 && len(got) != 1 {
			t.Errorf("%d reports, want 1", len(got))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestCLIMayNothingElse: the server refuses what is wider than the consumer's own.
func TestCLIMayNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(1)
	refused := func(name, command string, args ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, failed, err := s.cli("3s", command, args...) // a refusal comes at once, and no answer ever
			if err == nil || !strings.Contains(strings.ToLower(out+failed), "permissions violation") || strings.Contains(out, "main.spin") {
				t.Errorf("%v\n%s%s", err, out, failed)
			}
		})
	}
	for name, args := range map[string][]string{
		"every report":       {"sub", "gopprof.v1.report.>", "--count=1"},
		"another namespace":  {"sub", "gopprof.v1.report.*.bank.>", "--count=1"},
		"another's consumer": {"consumer", "next", bus.StreamReports, "reader-bank", "--raw"},
		"its own consumer":   {"consumer", "add", bus.StreamReports, "mine", "--pull", "--defaults", "--filter=gopprof.v1.report.>"},
	} {
		own := []string{"--no-context", "--inbox-prefix=" + bus.ConsumerInbox("shop"), "--js-api-prefix=" + bus.ReaderAPI}
		refused(name, "", append(own, args...)...)
	}
	refused("another's name", "./nats-cli.sh", "bank")
	if out, _, err := s.cli("3s", "./nats-cli.sh"); err == nil || out != "" {
		t.Error(fmt.Sprint("no name is a name: ", out))
	}
}
