package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
)

// An agent starts and stops while NATS is away, and makes the directory of its state
// wherever the spool is.
func TestAgentWithoutNATSKeepsItsState(t *testing.T) {
	dir := t.TempDir()
	config := DefaultConfig()
	config.Node, config.StateDir, config.Publish.Dir = "n", filepath.Join(dir, "state"), filepath.Join(dir, "spool")
	config.Status.Listen = "127.0.0.1:0"
	config.NATS.URL = "nats://127.0.0.1:1" // where nobody listens
	if _, err := os.Stat(config.Cadvisor.CgroupRoot); err != nil {
		parts.Missing(t, "no cgroups on this machine: mount them: %v", err)
	}
	crashed := filepath.Join(config.StateDir, ".cooldowns.json.tmp-1")
	if err := errors.Join(os.MkdirAll(config.StateDir, 0o700), os.WriteFile(crashed, []byte("{"), 0o600)); err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), config, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(crashed); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a crash left is still there: %v", err)
	}
	a.judge.Captured(judge.Fired{Target: target, Rule: a.judge.Rules()[0]}, "c", gopprof.Agreement{}, time.Now())
	a.pipeline.remember()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Errorf("it did not stop cleanly: %v", err)
	}
	var saved judge.Saved
	if err := durable.ReadJSON(filepath.Join(config.StateDir, "cooldowns.json"), &saved); err != nil || len(saved) != 1 {
		t.Errorf("remembered %v, %v", saved, err)
	}
}

// What an earlier agent wrote holds for the next one; what cannot be read costs the
// cooldowns, not the start.
func TestAgentRemembersCooldowns(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want gopprof.Reason
	}{
		"kept":   {`{"shop/api-1/api":{"cpu":{"firedAt":"2026-11-22T11:59:00Z","disarmed":true}}}`, gopprof.ReasonNotRearmed},
		"broken": {`{"shop/api-1/api":`, gopprof.ReasonFired},
		"none":   {"", gopprof.ReasonFired},
	} {
		t.Run(name, func(t *testing.T) {
			a := &App{config: DefaultConfig(), log: zap.NewNop(), reg: newRegistry()}
			a.config.StateDir = t.TempDir()
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(a.config.StateDir, "cooldowns.json"), []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			a.memory = newMemory(a.config.StateDir, a.log, a.reg)
			if err := a.makeJudge(t.Context()); err != nil {
				t.Fatal(err)
			}
			a.judge.Judge(target, &fakes{hot: true}, noon)
			if got := a.judge.States(target.Key())[0].Reason; got != c.want {
				t.Errorf("reason %s, want %s", got, c.want)
			}
		})
	}
}
