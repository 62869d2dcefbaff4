package static_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/agent/discover/static"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

var update = flag.Bool("update", false, "write the golden files")

func node() discover.Node { return discover.Node{Cluster: "prod", Name: "host-1"} }

func open(path string) (*static.Discoverer, error) {
	cfg := static.DefaultConfig()
	cfg.File = path
	return static.New(cfg, node(), zap.NewNop(), prometheus.NewRegistry())
}

func mustOpen(t *testing.T, path string) *static.Discoverer {
	t.Helper()
	d, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTargetsOfAFile(t *testing.T) {
	s := mustOpen(t, "testdata/targets.yaml").Snapshot()
	want := []gopprof.Target{{
		Cluster: "prod", Node: "host-1", Namespace: "shop", Workload: gopprof.Workload{Kind: "Host", Name: "checkout"},
		Pod: "host-1", Container: "checkout", Owner: "#team-shop",
		Labels: "app.kubernetes.io/name=checkout,tier=front",
		Image:  "checkout:1.4", Build: "3f9a2c1", Runtime: gopprof.Runtime{GOGC: "off", GOMEMLIMIT: "400MiB", GOMAXPROCS: "2"},
		Counter:  gopprof.Counter{Metric: "http_requests_total", Path: "/metrics"},
		Endpoint: gopprof.Endpoint{Scheme: "http", Host: "127.0.0.1", Port: 6060, Path: "/debug/pprof"},
		Cgroup:   gopprof.Cgroup{Path: "/system.slice/checkout.service"},
	}, {
		Cluster: "prod", Node: "host-1", Namespace: "shop", Workload: gopprof.Workload{Kind: "VM", Name: "prices"},
		Pod: "vm-17", Container: "api",
		Endpoint: gopprof.Endpoint{Scheme: "https", Host: "prices.example.com", Port: 443, Path: "/internal/pprof"},
		Cgroup:   gopprof.Cgroup{PID: 4711},
	}, {
		Cluster: "prod", Node: "host-1", Namespace: "kube-system", Workload: gopprof.Workload{Kind: "Host", Name: "kube-apiserver"},
		Pod: "host-1", Container: "kube-apiserver",
		Endpoint: gopprof.Endpoint{Scheme: "https", Host: "api.example.com", Port: 6443, Path: "/debug/pprof"},
		ByHand:   true,
	}}
	if !slices.Equal(s.Targets, want) || len(s.Refused) != 0 {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
}

func TestEveryMistakeIsToldAtOnce(t *testing.T) {
	_, err := open("testdata/mistakes.yaml")
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		t.Fatalf("%T: %v", err, err)
	}
	const golden = "testdata/mistakes.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := mistakes.Error() + "\n"; got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDuplicatesAreRefused(t *testing.T) {
	const one = "- {namespace: shop, workload: a, pprof: 'http://127.0.0.1:1', pid: 1}\n"
	for _, c := range []struct{ name, second, want string }{
		{"by name", "- {namespace: shop, workload: a, pprof: 'http://127.0.0.1:2', pid: 2}\n", "3: targets[1]: has the same namespace, pod and container as targets[0]"},
		{"by name, the host's spelled out", "- {namespace: shop, workload: b, pod: host-1, container: a, pprof: 'http://127.0.0.1:2', pid: 2}\n", "3: targets[1]: has the same namespace"},
		{"by endpoint", "- {namespace: shop, workload: b, pprof: 'http://127.0.0.1:1/debug/pprof/', pid: 2}\n", "3: targets[1].pprof: is the same as that of targets[0]"},
		{"by endpoint, with a token", "- {namespace: shop, workload: b, pprof: 'http://127.0.0.1:1', pid: 2, bearer_token_file: /t}\n", "3: targets[1].pprof: is the same as that of targets[0]"},
		{"not by owner, group or process", "- {namespace: shop, workload: b, pprof: 'http://127.0.0.1:2', pid: 1}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "targets.yaml")
			write(t, path, "targets:\n"+one+c.second)
			_, err := open(path)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestBearerTokenFile(t *testing.T) {
	for entry, want := range map[string]string{
		"pprof: 'https://10.0.0.1:6443', bearer_token_file: /t":    "",
		"pprof: 'http://127.0.0.1:6443', bearer_token_file: /t":    "",
		"pprof: 'http://[::1]:6443', bearer_token_file: /t":        "",
		"pprof: 'http://10.0.0.1:6443', bearer_token_file: /t":     "needs an https URL",
		"pprof: 'http://localhost:6443', bearer_token_file: /t":    "needs an https URL",
		"pprof: 'https://10.0.0.1:6443', bearer_token_file: token": "absolute",
	} {
		path := filepath.Join(t.TempDir(), "targets.yaml")
		write(t, path, "targets:\n- {namespace: kube-system, workload: apiserver, pid: 1, "+entry+"}\n")
		d, err := open(path)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), "bearer_token_file: ") || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", entry, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", entry, err)
		} else if target := d.Snapshot().Targets[0]; target.Endpoint.BearerTokenFile != "/t" {
			t.Errorf("%s: %+v", entry, target)
		}
	}
}

func TestWithoutAFileThereAreNoTargets(t *testing.T) {
	d := mustOpen(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Run(ctx); err != nil || d.Ready() != nil || len(d.Snapshot().Targets) != 0 {
		t.Errorf("%v, %v, %+v", err, d.Ready(), d.Snapshot())
	}
	if _, err := open("/nowhere/targets.yaml"); err == nil {
		t.Error("a file that is not there was accepted at the start")
	}
}

// running is a Discoverer at work in a bubble whose clock the test drives.
type running struct {
	*static.Discoverer
	t    *testing.T
	dir  string
	file string
	reg  *prometheus.Registry
	logs *observer.ObservedLogs
}

func run(t *testing.T, targets string, test func(*running)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &running{t: t, dir: t.TempDir(), reg: prometheus.NewRegistry()}
		r.file = filepath.Join(r.dir, "targets.yaml")
		r.write(r.file, targets)
		core, logs := observer.New(zap.InfoLevel)
		r.logs = logs
		cfg := static.DefaultConfig()
		cfg.File = r.file
		d, err := static.New(cfg, node(), zap.New(core), r.reg)
		if err != nil {
			t.Fatal(err)
		}
		r.Discoverer = d
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		test(r)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (r *running) write(path, text string) {
	r.t.Helper()
	write(r.t, path, strings.ReplaceAll(text, "DIR", r.dir))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// look lets the discoverer look again.
func (r *running) look() discover.Snapshot {
	time.Sleep(static.DefaultConfig().Interval + time.Millisecond) // the bubble's clock
	synctest.Wait()
	return r.Snapshot()
}

func (r *running) logged() string {
	var messages []string
	for _, e := range r.logs.TakeAll() {
		messages = append(messages, e.Message)
	}
	return strings.Join(messages, "; ")
}

const (
	one = "targets:\n- {namespace: shop, workload: a, pprof: 'http://127.0.0.1:1', cgroup: /a}\n"
	two = one + "- {namespace: shop, workload: b, pprof: 'http://127.0.0.1:2', pid_file: DIR/b.pid}\n"
)

func TestChangedFileIsReadAgain(t *testing.T) {
	run(t, one, func(r *running) {
		r.write(filepath.Join(r.dir, "b.pid"), "17\n")
		r.write(r.file, two)
		if s := r.look(); len(s.Targets) != 2 {
			t.Errorf("after the change: %+v", s)
		}
		next := filepath.Join(r.dir, "next")
		r.write(next, one)
		if err := os.Rename(next, r.file); err != nil {
			t.Fatal(err)
		}
		if s := r.look(); len(s.Targets) != 1 {
			t.Errorf("after it was replaced: %+v", s)
		}
		r.write(r.file, "")
		if s := r.look(); len(s.Targets) != 0 || r.Ready() != nil {
			t.Errorf("after it was emptied: %+v, %v", s, r.Ready())
		}
	})
}

func TestBrokenFileKeepsTheFormerList(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*running)
		want string
	}{
		{"mistake", func(r *running) { r.write(r.file, "targets: [{}]") }, "is required"},
		{"not YAML", func(r *running) { r.write(r.file, "targets: [") }, "targets.yaml"},
		{"removed", func(r *running) { _ = os.Remove(r.file) }, "no such file"},
		{"endless", func(r *running) { r.write(r.file, strings.Repeat("#", 2<<20)) }, "larger than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, one, func(r *running) {
				r.logged()
				c.do(r)
				for range 3 {
					if s := r.look(); len(s.Targets) != 1 {
						t.Errorf("targets: %+v", s.Targets)
					}
				}
				if err := r.Ready(); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("ready: %v, want %q", err, c.want)
				}
				if got := r.logged(); got != "targets file refused, former list kept" {
					t.Errorf("three looks logged %q", got)
				}
				r.write(r.file, one)
				if r.look(); r.Ready() != nil {
					t.Errorf("after it was mended: %v", r.Ready())
				}
				if got := r.logged(); !strings.HasSuffix(got, "targets file mended") {
					t.Errorf("mending logged %q", got)
				}
			})
		})
	}
}

func TestPIDFileIsFollowed(t *testing.T) {
	run(t, two, func(r *running) {
		pid := filepath.Join(r.dir, "b.pid")
		for _, c := range []struct {
			text   string // "-" removes the file
			pid    int
			reason gopprof.Reason
		}{
			{"-", 0, gopprof.ReasonNotStarted},
			{"17\n", 17, ""},
			{" 18 ", 18, ""},
			{"", 0, gopprof.ReasonBadInput},
			{"19", 19, ""},
			{"0", 0, gopprof.ReasonBadInput},
			{"-1", 0, gopprof.ReasonBadInput},
			{"99999999", 0, gopprof.ReasonBadInput},
			{"12 13", 0, gopprof.ReasonBadInput},
			{strings.Repeat(" ", 100) + "7", 0, gopprof.ReasonBadInput},
		} {
			_ = os.Remove(pid)
			if c.text != "-" {
				r.write(pid, c.text)
			}
			checkSecond(t, r.look(), c.pid, c.reason)
		}
		if n, err := testutil.GatherAndCount(r.reg, "gopprof_agent_static_refused"); err != nil || n != 2 {
			t.Errorf("%d series of refusals, %v", n, err)
		}
	})
}

// What stands in the place of a PID file is the service's to choose, and holds up no other
// target: reading a pipe would last until somebody writes into it.
func TestPIDFileThatIsNoFile(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, path string){
		"a pipe":                       pipe,
		"a pipe that somebody holds":   func(t *testing.T, path string) { pipe(t, path); holdPipe(t, path) },
		"a directory":                  func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) },
		"what never ends":              func(t *testing.T, path string) { must(t, os.Symlink("/dev/zero", path)) },
		"a pipe by the name of a link": func(t *testing.T, path string) { pipe(t, path+".pipe"); must(t, os.Symlink(path+".pipe", path)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, pid := filepath.Join(dir, "targets.yaml"), filepath.Join(dir, "b.pid")
			write(t, file, strings.ReplaceAll(two, "DIR", dir))
			put(t, pid)
			read := make(chan discover.Snapshot, 1)
			go func() { read <- mustOpen(t, file).Snapshot() }()
			select {
			case s := <-read:
				checkSecond(t, s, 0, gopprof.ReasonBadInput)
			case <-time.After(poll.Patience):
				t.Error("the targets are still being read")
			}
		})
	}
}

// pipe makes a pipe, and has whoever reads it go on when the test ends.
func pipe(t *testing.T, path string) {
	t.Helper()
	must(t, syscall.Mkfifo(path, 0o600))
	t.Cleanup(func() { holdPipe(t, path) })
}

// holdPipe opens a pipe for writing until the test ends.
func holdPipe(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func checkSecond(t *testing.T, s discover.Snapshot, pid int, reason gopprof.Reason) {
	t.Helper()
	if reason == "" {
		if len(s.Targets) != 2 || s.Targets[1].Cgroup.PID != pid || len(s.Refused) != 0 {
			t.Errorf("want process %d, got %+v", pid, s)
		}
		return
	}
	if len(s.Targets) != 1 || len(s.Refused) != 1 || s.Refused[0].Reason != reason || s.Refused[0].Detail == "" || s.Refused[0].Target.Workload.Name != "b" {
		t.Errorf("want %s, got %+v", reason, s)
	}
}

func TestSnapshotIsTheCallers(t *testing.T) {
	d := mustOpen(t, "testdata/targets.yaml")
	d.Snapshot().Targets[0].Pod = "changed"
	if got := d.Snapshot().Targets[0].Pod; got != "host-1" {
		t.Errorf("the caller changed the list: %q", got)
	}
}

func TestConfigTellsEveryMistake(t *testing.T) {
	var keys []string
	report := func(key, _ string) { keys = append(keys, key) }
	if static.DefaultConfig().Check(report); len(keys) > 0 {
		t.Errorf("the defaults are wrong: %v", keys)
	}
	static.Config{File: "targets.yaml"}.Check(report)
	if got := strings.Join(keys, " "); got != "file interval" {
		t.Errorf("mistakes in %s", got)
	}
}
