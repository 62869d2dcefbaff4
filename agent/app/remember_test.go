package app

import (
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	logged "go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/smalldisk"
)

// A disk that is full costs a restart its memory, and no capture: it is told once, and once
// that it works again, when everything is written.
func TestStateOnAFullDisk(t *testing.T) { smalldisk.Run(t, "64k", stateOnAFullDisk) }

func stateOnAFullDisk(t *testing.T, dir string) {
	t.Helper()
	core, logs := logged.New(zapcore.InfoLevel)
	f := &fakes{hot: true, decision: gopprof.Decision{Go: true, Incident: "i"}}
	p := newTestPipeline(f)
	m := newMemory(dir, zap.New(core), newRegistry())
	m.save = p.judge.Save
	p.remember = m.cooldowns
	free := smalldisk.Fill(t, dir)
	p.turnOnce(t)
	m.cooldowns()
	m.ownBudget([]time.Time{noon})
	if len(f.published) != 1 || logs.FilterMessage("state not written").Len() != 2 {
		t.Errorf("%d captures, logged %v", len(f.published), logs.All())
	}
	free()
	m.cooldowns()
	m.cooldowns()
	if logs.FilterMessage("state written again").Len() != 1 {
		t.Errorf("logged %v", logs.All())
	}
	var saved judge.Saved
	if err := durable.ReadJSON(filepath.Join(dir, cooldownsFile), &saved); err != nil || len(saved) != 1 {
		t.Errorf("written %v, %v", saved, err)
	}
}
