package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
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

// The environment of the process that is a server to be killed.
const (
	envDir = "GOPPROF_TEST_SERVER_DIR"
	envKey = "GOPPROF_TEST_SERVER_KEY"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		fmt.Println("failed:", serveUntilKilled(dir, os.Getenv(envKey)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serveUntilKilled is a server in a process of its own, with the streams; it prints where
// it listens, and ends with its standard input at the latest.
func serveUntilKilled(dir, key string) error {
	s, err := embedded.Start(killed(dir, key), nil, zap.NewNop())
	if err != nil {
		return err
	}
	agg, err := bus.ConnectAggregator(context.Background(), bus.DefaultConfig(), s, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	if err := agg.EnsureStreams(context.Background(), bus.DefaultStreamConfig()); err != nil {
		return err
	}
	fmt.Println(s.URL())
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	return err
}

func killed(dir, key string) embedded.Config {
	c := embedded.DefaultConfig()
	c.Listen, c.Dir = "127.0.0.1:0", dir
	c.Agents = []embedded.AgentUser{{Cluster: "prod", Node: "node-1", NKey: key}}
	return c
}

// startProcess starts the server's process and returns its address and how to kill it.
func startProcess(t *testing.T, dir, key string) (url string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envDir+"="+dir, envKey+"="+key)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // held open as long as we live
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "nats://") {
		t.Fatalf("server said %q, %v", line, err)
	}
	return strings.TrimSpace(line), kill
}

// TestKilledServerKeepsWhatItAcknowledged: SIGKILL in the middle of publishing.
func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	seed, key := bustest.NewKeyFile(t)
	url, kill := startProcess(t, dir, key)
	acknowledged := publishUntilKilled(t, url, seed, kill)
	s := start(t, killed(dir, key))
	agg, err := bus.ConnectAggregator(t.Context(), bus.DefaultConfig(), s, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agg.Close(context.Background()) })
	ctx, stop := context.WithTimeout(t.Context(), poll.Patience)
	defer stop()
	err = agg.Captures(ctx, 1, func(ctx context.Context, d *bus.Delivery) {
		if err := errors.Join(d.Fetch(ctx), d.Ack(ctx)); err != nil {
			t.Errorf("capture %s: %v", d.Capture.ID, err)
		}
		delete(acknowledged, d.Capture.ID) // the one that was killed half-way may be there too
		if len(acknowledged) == 0 {
			stop()
		}
	})
	if err != nil {
		t.Error(err)
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged captures are lost", len(acknowledged))
	}
}

// publishUntilKilled publishes until the server is away, which is killed on the way, and
// returns what was acknowledged.
func publishUntilKilled(t *testing.T, url, seed string, kill func()) map[string]bool {
	t.Helper()
	c := bus.DefaultConfig()
	c.URL, c.NKeyFile = url, config.SecretFile(seed)
	agent, err := bus.ConnectAgent(t.Context(), c, "prod", "node-1", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close(context.Background()) })
	poll.Until(t, "agent connects", func() bool { return agent.Connected() == nil })
	acknowledged := map[string]bool{}
	killing := make(chan struct{})
	for {
		next := oneCapture(t)
		if err := agent.PublishCapture(t.Context(), next); err != nil {
			if !errors.Is(err, bus.ErrAway) {
				t.Errorf("publishing: %v, want %v", err, bus.ErrAway)
			}
			<-killing
			return acknowledged
		}
		if acknowledged[next.ID] = true; len(acknowledged) == 5 {
			time.AfterFunc(5*time.Millisecond, func() { kill(); close(killing) })
		}
	}
}
