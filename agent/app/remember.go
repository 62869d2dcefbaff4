package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The files of the state directory. The spool may lie in it, too, and has a lock of its
// own, since it need not.
const (
	lockFile      = "agent.lock"
	cooldownsFile = "cooldowns.json"
	ownBudgetFile = "own-budget.json"
	handDir       = "in-hand" // a file for each firing and capture
	tornSuffix    = ".torn"   // of a file that could not be read and was put aside
)

// makeState takes the state directory: two agents on one would each forget what the other
// has done.
func (a *App) makeState(context.Context) error {
	if err := durable.MkdirAll(a.config.StateDir, 0o700); err != nil {
		return fmt.Errorf("making state_dir: %w", err)
	}
	lock, err := durable.Lock(filepath.Join(a.config.StateDir, lockFile))
	switch {
	case errors.Is(err, durable.ErrLocked):
		return fmt.Errorf("state_dir %q is another agent's: give each agent its own: %w", a.config.StateDir, err)
	case err != nil:
		return fmt.Errorf("taking state_dir: %w", err)
	}
	a.stages.Closer("state directory", func(context.Context) error { return lock.Unlock() })
	if _, err := durable.RemoveTemps(a.config.StateDir); err != nil {
		return fmt.Errorf("taking state_dir: %w", err)
	}
	a.memory = newMemory(a.config.StateDir, a.log, a.reg)
	return nil
}

// memory is what the agent writes down for the next one.
type memory struct {
	dir  string
	log  *zap.Logger
	lost *prometheus.CounterVec

	mu     sync.Mutex              // held from saving to written: captures that end together do not overtake each other
	failed map[string]bool         // files and directories whose newest write failed. guarded by mu
	save   func() judge.Saved      // set before the first Cooldowns
	write  func(string, any) error // durable.WriteJSON, or what a test puts in its place
}

func newMemory(dir string, log *zap.Logger, reg prometheus.Registerer) *memory {
	m := &memory{dir: dir, log: log, failed: map[string]bool{}, lost: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gopprof_agent_state_lost_total",
		Help: "Files of the state directory that could not be read at the start, and were put aside or left out, by file.",
	}, []string{"file"})}
	m.write = func(path string, v any) error { return durable.WriteJSON(path, v, 0o600) }
	for _, name := range []string{cooldownsFile, ownBudgetFile, handDir} {
		m.lost.WithLabelValues(name)
	}
	reg.MustRegister(m.lost)
	return m
}

// recall reads what an earlier agent wrote down, and false when there is nothing. What
// cannot be read costs what it held, not the start: it is counted, named and put aside.
func (m *memory) recall(name string, into any) bool {
	path := filepath.Join(m.dir, name)
	err := durable.ReadJSON(path, into)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err == nil
	}
	m.lost.WithLabelValues(name).Inc()
	aside := durable.Rename(path, path+tornSuffix)
	m.log.Error("state lost, starting without", zap.String("file", path), zap.String("aside", path+tornSuffix),
		zap.String("reason", string(gopprof.ReasonSpoolTorn)), zap.NamedError("putting_aside", aside), zap.Error(err))
	return false
}

// cooldowns writes what judge must know after a restart.
func (m *memory) cooldowns() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(cooldownsFile, m.save())
}

// ownBudget writes when the node captured without having been allowed to.
func (m *memory) ownBudget(recent []time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(ownBudgetFile, recent)
}

// put writes a file. The caller holds mu.
func (m *memory) put(name string, v any) { m.wrote(name, m.write(filepath.Join(m.dir, name), v)) }

// wrote tells of a disk that is full or fails once, and once that it works again: until then
// a restart would forget. The caller holds mu.
func (m *memory) wrote(name string, err error) {
	path := filepath.Join(m.dir, name)
	switch {
	case err != nil && !m.failed[name]:
		m.log.Error("state not written", zap.String("file", path), zap.String("reason", string(gopprof.ReasonSpoolFailed)), zap.Error(err))
	case err == nil && m.failed[name]:
		m.log.Info("state written again", zap.String("file", path))
	}
	m.failed[name] = err != nil
}
