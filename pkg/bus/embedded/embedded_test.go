package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/test/poll"
)

func loopback(t *testing.T) embedded.Config {
	t.Helper()
	c := embedded.DefaultConfig()
	c.Listen, c.Dir = "127.0.0.1:0", t.TempDir()
	return c
}

func start(t *testing.T, c embedded.Config) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(c, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func TestCheck(t *testing.T) {
	_, key := bustest.NewKeyFile(t)
	cases := map[string]struct {
		change func(*embedded.Config)
		want   []string
	}{
		"default":              {func(*embedded.Config) {}, nil},
		"beyond loopback":      {func(c *embedded.Config) { c.Listen = "0.0.0.0:4222" }, []string{"listen"}},
		"every address":        {func(c *embedded.Config) { c.Listen = ":4222" }, []string{"listen"}},
		"a name":               {func(c *embedded.Config) { c.Listen = "nats.example:4222" }, []string{"listen"}},
		"beyond, own ca":       {func(c *embedded.Config) { c.Listen, c.OwnCA.Enabled = "0.0.0.0:4222", true }, nil},
		"beyond, with tls":     {func(c *embedded.Config) { c.Listen, c.CertFile, c.KeyFile = "0.0.0.0:4222", "a", "b" }, nil},
		"no port":              {func(c *embedded.Config) { c.Listen = "127.0.0.1" }, []string{"listen"}},
		"impossible port":      {func(c *embedded.Config) { c.Listen = "127.0.0.1:70000" }, []string{"listen"}},
		"no directory":         {func(c *embedded.Config) { c.Dir = "" }, []string{"dir"}},
		"half a certificate":   {func(c *embedded.Config) { c.CertFile = "a" }, []string{"cert_file"}},
		"no connections":       {func(c *embedded.Config) { c.ConnectionsMax = 1 }, []string{"connections_max"}},
		"no room":              {func(c *embedded.Config) { c.StoreBytes = 1 }, []string{"store_bytes"}},
		"agent without a key":  {func(c *embedded.Config) { c.Agents = []embedded.AgentUser{{Node: "a"}} }, []string{"agents"}},
		"agent without a node": {func(c *embedded.Config) { c.Agents = []embedded.AgentUser{{NKey: key}} }, []string{"agents"}},
		"a key twice": {func(c *embedded.Config) {
			c.Agents = []embedded.AgentUser{{Node: "a", NKey: key}, {Node: "b", NKey: key}}
		}, []string{"agents"}},
		"a key in both lists": {func(c *embedded.Config) {
			c.Agents, c.Consumers = []embedded.AgentUser{{Node: "a", NKey: key}}, []embedded.ConsumerUser{{Name: "a", NKey: key}}
		}, []string{"consumers"}},
		"a seed in place":       {func(c *embedded.Config) { c.Agents = []embedded.AgentUser{{Node: "a", NKey: "SU" + key[2:]}} }, []string{"agents"}},
		"consumer with a space": {func(c *embedded.Config) { c.Consumers = []embedded.ConsumerUser{{Name: "a b", NKey: key}} }, []string{"consumers"}},
	}
	for name, tc := range cases {
		c := embedded.DefaultConfig()
		tc.change(&c)
		var got []string
		c.Check(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// Whoever reaches the port and says nothing takes memory and a file: there is a bound to how many
// may, and when they are gone there is room again.
func TestConnectionsWithoutEnd(t *testing.T) {
	c := loopback(t)
	c.ConnectionsMax = 5
	s := start(t, c)
	dial := func() (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "nats://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		lines := bufio.NewReader(conn)
		if _, err := lines.ReadString('\n'); err != nil { // INFO
			t.Fatal(err)
		}
		return conn, lines
	}
	refused := func() string {
		conn, lines := dial()
		_, _ = conn.Write([]byte("CONNECT {}\r\n")) // it may be closed
		said, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	var held []net.Conn
	for range c.ConnectionsMax {
		conn, _ := dial()
		held = append(held, conn)
	}
	poll.Until(t, "one beyond the bound is refused", func() bool { // the last is greeted before it is counted
		return strings.Contains(refused(), "maximum connections exceeded")
	})
	for _, conn := range held {
		_ = conn.Close()
	}
	poll.Until(t, "there is room again", func() bool { return strings.Contains(refused(), "Authorization Violation") })
}

func TestStartRefusesWhatCheckReports(t *testing.T) {
	c := loopback(t)
	c.Listen = "0.0.0.0:0"
	if s, err := embedded.Start(c, nil, zap.NewNop()); err == nil {
		s.Shutdown()
		t.Fatal("listens beyond loopback without TLS")
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("agents: [{node: a, nkey: x}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		change func(*embedded.Config)
		want   string
	}{
		"directory is a file": {func(c *embedded.Config) { c.Dir = file }, "directory"},
		"no agents file":      {func(c *embedded.Config) { c.AgentsFile = "/nowhere" }, "agents file"},
		"bad agents file":     {func(c *embedded.Config) { c.AgentsFile = file }, "nkey"},
		"no certificate":      {func(c *embedded.Config) { c.CertFile, c.KeyFile = "/nowhere", "/nowhere" }, "certificate"},
	}
	for name, tc := range cases {
		c := loopback(t)
		tc.change(&c)
		s, err := embedded.Start(c, nil, zap.NewNop())
		if err == nil {
			s.Shutdown()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	c := loopback(t)
	s := start(t, c)
	if other, err := embedded.Start(c, nil, zap.NewNop()); err == nil {
		other.Shutdown()
		t.Fatal("two servers write into one directory")
	}
	s.Shutdown()
	start(t, c)
}

func TestReady(t *testing.T) {
	s := start(t, loopback(t))
	if err := s.Ready(); err != nil {
		t.Errorf("running: %v", err)
	}
	if !s.SyncsEveryWrite() {
		t.Error("writes are acknowledged before they are synced")
	}
	s.Shutdown()
	if err := s.Ready(); err == nil {
		t.Error("ready after its end")
	}
}

func TestNewKey(t *testing.T) {
	seed, public, err := embedded.NewKey()
	if err != nil || !strings.HasPrefix(seed, "SU") || !strings.HasPrefix(public, "U") {
		t.Errorf("%q, %q, %v", seed, public, err)
	}
}

// agentOf returns a node's agent that is not connected yet.
func agentOf(t *testing.T, s *embedded.Server, ca, seedFile, node string) *bus.Agent {
	t.Helper()
	c := bus.DefaultConfig()
	c.URL, c.CAFile, c.NKeyFile, c.ReconnectWait = s.URL(), ca, config.SecretFile(seedFile), 600*time.Millisecond
	a, err := bus.ConnectAgent(t.Context(), c, "prod", node, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	return a
}

// replace changes a file as tools do: a new one in its place.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestAgentsFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agents.yaml")
	seedA, keyA := bustest.NewKeyFile(t)
	seedB, keyB := bustest.NewKeyFile(t)
	user := func(node, key string) string {
		return fmt.Sprintf("  - {cluster: prod, node: %s, nkey: %s}\n", node, key)
	}
	replace(t, file, "agents:\n"+user("a", keyA))
	c := loopback(t)
	c.AgentsFile = file
	s := start(t, c)
	s.WatchEvery(20 * time.Millisecond)
	run(t.Context(), t, s.Run)
	a, b := agentOf(t, s, "", seedA, "a"), agentOf(t, s, "", seedB, "b")
	poll.Until(t, "a connects, b does not", func() bool {
		return a.Connected() == nil && errors.Is(b.Connected(), bus.ErrRefused)
	})
	replace(t, file, "agents:\n"+user("a", keyA)+user("b", keyB))
	poll.Until(t, "b connects", func() bool { return b.Connected() == nil })
	replace(t, file, "agents: what\n") // stays as it was
	replace(t, file, "agents:\n"+user("b", keyB))
	poll.Until(t, "a is refused", func() bool { return errors.Is(a.Connected(), bus.ErrRefused) })
	if err := b.Connected(); err != nil {
		t.Errorf("b: %v", err)
	}
}

// What is changed between the start, which may take a minute, and the first look is not missed; nor
// is a file of the same size and time: keys are of one length, and times are copied with files.
func TestAgentsFileIsReadAgainWhateverItLooksLike(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agents.yaml")
	seeds, texts := make([]string, 3), make([]string, 3)
	for i := range seeds {
		var key string
		seeds[i], key = bustest.NewKeyFile(t)
		texts[i] = "agents: [{cluster: prod, node: a, nkey: " + key + "}]\n"
	}
	replace(t, file, texts[0])
	c := loopback(t)
	c.AgentsFile = file
	s := start(t, c)
	s.WatchEvery(20 * time.Millisecond)
	replace(t, file, texts[1])
	run(t.Context(), t, s.Run)
	early, last := agentOf(t, s, "", seeds[1], "a"), agentOf(t, s, "", seeds[2], "a")
	poll.Until(t, "the key of before the first look connects", func() bool { return early.Connected() == nil })
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(file+".new", []byte(texts[2]), 0o600), os.Chtimes(file+".new", info.ModTime(), info.ModTime()), os.Rename(file+".new", file)); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the last key connects", func() bool { return last.Connected() == nil })
}

// stated is a file of which this much is known.
type stated struct {
	os.FileInfo
	of syscall.Stat_t
}

func (s stated) Sys() any { return &s.of }

// A file that is looked at while it is written is another one when it is whole, also within one
// step of the clock of changes.
func TestFileThatIsLookedAtWhileItIsWritten(t *testing.T) {
	half := syscall.Stat_t{Ino: 2, Ctim: syscall.Timespec{Sec: 3, Nsec: 4}}
	if again := half; embedded.StampOf(stated{of: again}) != embedded.StampOf(stated{of: half}) {
		t.Error("not what it is")
	}
	whole, replaced, later := half, half, half
	whole.Size, replaced.Ino, later.Ctim.Nsec = 5, 6, 7
	for _, other := range []syscall.Stat_t{whole, replaced, later} {
		if embedded.StampOf(stated{of: other}) == embedded.StampOf(stated{of: half}) {
			t.Errorf("%+v is %+v", other, half)
		}
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	one, two := newAuthority(t), newAuthority(t)
	seed, key := bustest.NewKeyFile(t)
	c := loopback(t)
	c.CertFile, c.KeyFile = one.issue(t, "127.0.0.1")
	c.Agents = []embedded.AgentUser{{Cluster: "prod", Node: "a", NKey: key}}
	s := start(t, c)
	s.WatchEvery(20 * time.Millisecond)
	run(t.Context(), t, s.Run)
	// The aggregator's own connection stays as it is.
	agg, err := bus.ConnectAggregator(t.Context(), bus.DefaultConfig(), s, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agg.Close(context.Background()) })
	poll.Until(t, "the aggregator connects", func() bool { return agg.Connected() == nil })
	poll.Until(t, "the first certificate is seen", func() bool { return agentOf(t, s, one.file, seed, "a").Connected() == nil })
	cert, certKey := two.issue(t, "127.0.0.1")
	for from, to := range map[string]string{cert: c.CertFile, certKey: c.KeyFile} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		replace(t, to, string(data))
	}
	after := agentOf(t, s, two.file, seed, "a")
	poll.Until(t, "the second certificate is seen", func() bool { return after.Connected() == nil })
}

// FuzzAgentsFile: whatever stands in the file, it is a list of users or an error.
func FuzzAgentsFile(f *testing.F) {
	_, key := bustest.NewKeyFile(f)
	for _, s := range []string{"", "agents: []", "agents: [{cluster: a, node: b, nkey: " + key + "}]", "agents: {}", "\x00", "agents: [1]", "other: 1", "- x"} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		c := embedded.DefaultConfig()
		c.AgentsFile = filepath.Join(dir, "agents.yaml")
		if err := os.WriteFile(c.AgentsFile, data, 0o600); err != nil {
			t.Fatal(err)
		}
		users, err := embedded.LoadUsers(c)
		if err != nil {
			return
		}
		for _, a := range users.Agents {
			if a.Node == "" || len(a.NKey) != len(key) {
				t.Fatalf("took %+v", a)
			}
		}
	})
}
