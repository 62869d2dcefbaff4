package bus_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/config"
)

// problems lists the keys that Check reports.
func problems(check func(func(key, problem string))) []string {
	var keys []string
	check(func(key, problem string) {
		if problem == "" {
			key += " without a problem"
		}
		keys = append(keys, key)
	})
	slices.Sort(keys)
	return keys
}

func TestConfigCheck(t *testing.T) {
	cases := map[string]struct {
		change func(*bus.Config)
		want   []string
	}{
		"default":          {func(*bus.Config) {}, nil},
		"this machine":     {func(c *bus.Config) { c.URL = "nats://127.0.0.1:4222, nats://[::1]:4222,nats://localhost:4222" }, nil},
		"tls":              {func(c *bus.Config) { c.URL = "tls://nats.example:4222" }, nil},
		"plain elsewhere":  {func(c *bus.Config) { c.URL = "nats://nats.example:4222" }, []string{"url"}},
		"one of two plain": {func(c *bus.Config) { c.URL = "tls://a:4222,nats://10.0.0.1:4222" }, []string{"url"}},
		"other scheme":     {func(c *bus.Config) { c.URL = "ws://127.0.0.1:80" }, []string{"url"}},
		"no host":          {func(c *bus.Config) { c.URL = "nats.example" }, []string{"url"}},
		"password":         {func(c *bus.Config) { c.URL = "tls://u:p@nats.example:4222" }, []string{"url"}},
		"two proofs":       {func(c *bus.Config) { c.NKeyFile, c.TokenFile = "a", "b" }, []string{"nkey_file"}},
		"times":            {func(c *bus.Config) { c.ConnectTimeout, c.ReconnectWait = 0, 0 }, []string{"connect_timeout", "reconnect_wait"}},
	}
	for name, tc := range cases {
		c := bus.DefaultConfig()
		tc.change(&c)
		if got := problems(c.Check); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestStreamConfigCheck(t *testing.T) {
	c := bus.DefaultStreamConfig()
	if got := problems(c.Check); got != nil {
		t.Errorf("defaults: %v", got)
	}
	c = bus.StreamConfig{Replicas: 2, DedupeWindow: 2 * time.Hour}
	want := []string{"ack_wait", "bucket_bytes", "capture_max_bytes", "captures_max", "dead_bytes", "dead_max_age", "dedupe_window",
		"replicas", "reports_bytes", "reports_max_age", "waiting_bytes", "waiting_max_age"}
	if got := problems(c.Check); !slices.Equal(got, want) {
		t.Errorf("zero: %v, want %v", got, want)
	}
}

func TestConnectRefusesWhatWaitingCannotMend(t *testing.T) {
	seed := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(seed, []byte("not a seed"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(*bus.Config){
		"no url":     func(c *bus.Config) { c.URL = "" },
		"no seed":    func(c *bus.Config) { c.NKeyFile = "/nowhere/seed" },
		"wrong seed": func(c *bus.Config) { c.NKeyFile = config.SecretFile(seed) },
		"no token":   func(c *bus.Config) { c.TokenFile = "/nowhere/token" },
	}
	for name, change := range cases {
		c := bus.DefaultConfig()
		c.URL = "nats://127.0.0.1:1"
		change(&c)
		if _, err := bus.ConnectAgent(t.Context(), c, "c", "n", zap.NewNop(), prometheus.NewRegistry()); err == nil || errors.Is(err, bus.ErrAway) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := bus.ConnectAggregator(t.Context(), bus.DefaultConfig(), nil, zap.NewNop(), prometheus.NewRegistry()); err == nil {
		t.Error("an aggregator without a server was made")
	}
}
