package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded/natstest"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/test/poll"
)

const tryingAgain = "connecting to nats failed, trying again"

// starting begins to make an aggregator; what is returned tells how that ended.
func starting(ctx context.Context, c Config) (logs *observer.ObservedLogs, made func() (*App, error)) {
	core, logs := observer.New(zap.WarnLevel)
	type result struct {
		a   *App
		err error
	}
	results := make(chan result, 1)
	go func() {
		a, err := New(ctx, c, Workers{Draw: []string{"false"}}, zap.New(core))
		results <- result{a, err}
	}()
	return logs, func() (*App, error) { r := <-results; return r.a, r.err }
}

// An aggregator that starts before its NATS says whom it waits for, and goes on by itself.
func TestNATSThatComesLater(t *testing.T) {
	o := natstest.Start(t)
	o.Stop()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	logs, made := starting(ctx, configOn(o))
	poll.Until(t, "it says that it waits", func() bool { return logs.FilterMessage(tryingAgain).Len() > 0 })
	o.Start()
	a, err := made()
	if err != nil {
		t.Fatal(err)
	}
	ended := running(ctx, a)
	poll.Until(t, "it is ready", func() bool { return a.bus.Connected() == nil })
	stop()
	if err := endOf(t, ended); err != nil {
		t.Error(err)
	}
}

// One whose NATS does not come in time, or does not know it, ends with the reason and where it
// looked, and has said both meanwhile.
func TestNATSThatNeverComes(t *testing.T) {
	for name, c := range map[string]struct {
		trouble func(o *natstest.Server, c *Config)
		says    string
		want    error
	}{
		"away":    {func(o *natstest.Server, _ *Config) { o.Stop() }, "connection refused", bus.ErrAway},
		"refuses": {func(_ *natstest.Server, c *Config) { c.NATS.TokenFile = anotherToken(t) }, "authorization violation", bus.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			o := natstest.Start(t)
			cfg := configOn(o)
			c.trouble(o, &cfg)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			logs, made := starting(ctx, cfg)
			poll.Until(t, "it says what it waits for", func() bool {
				said := logs.FilterMessage(tryingAgain).FilterField(zap.String("url", o.Config.URL))
				return slices.ContainsFunc(said.All(), func(e observer.LoggedEntry) bool {
					why, _ := e.ContextMap()["error"].(string)
					return strings.Contains(strings.ToLower(why), c.says)
				})
			})
			stop() // as the end of startTimeout does
			_, err := made()
			if !errors.Is(err, c.want) || !strings.Contains(strings.ToLower(err.Error()), c.says) || !strings.Contains(err.Error(), o.Config.URL) {
				t.Errorf("%v, want %v: %s, and where", err, c.want, c.says)
			}
		})
	}
}

func anotherToken(t *testing.T) config.SecretFile {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.SecretFile(file)
}
