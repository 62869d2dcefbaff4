// Package static reads targets from a file: for programs on hosts and virtual machines,
// and wherever no Kubernetes names them. The file and the PID files that it names enter;
// targets leave.
//
// A file with a mistake is never taken over in part. At the start it is refused with all
// of its mistakes; later the former list stays, and readiness says why.
package static

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxBytes bounds the targets file: a thousand targets are 300 KB.
const maxBytes = 1 << 20

// Discoverer keeps the targets of one file. It is safe for concurrent use.
type Discoverer struct {
	cfg     Config
	node    discover.Node
	log     *zap.Logger
	metrics *metrics

	file []byte  // as it was last seen; Run's alone
	list []Entry // of the newest file without a mistake; Run's alone

	mu       sync.Mutex // guards what follows
	snapshot discover.Snapshot
	broken   error // why the file as it is now was not taken over
}

var _ discover.Discoverer = (*Discoverer)(nil)

// New reads the file. Its mistakes are returned as config.Errors. Without a file there are
// no targets.
func New(cfg Config, node discover.Node, log *zap.Logger, reg prometheus.Registerer) (*Discoverer, error) {
	d := &Discoverer{cfg: cfg, node: node, log: log, metrics: newMetrics(reg)}
	if cfg.File == "" {
		return d, nil
	}
	if err := d.reload(); err != nil {
		return nil, err
	}
	d.snapshot = d.resolve()
	return d, nil
}

// Run looks at the file and the PID files until ctx ends.
func (d *Discoverer) Run(ctx context.Context) error {
	if d.cfg.File == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(d.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.look()
		}
	}
}

// Snapshot implements discover.Discoverer.
func (d *Discoverer) Snapshot() discover.Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return discover.Snapshot{
		Targets: slices.Clone(d.snapshot.Targets),
		Refused: slices.Clone(d.snapshot.Refused),
	}
}

// Ready tells why the file as it is now was not taken over, or nil.
func (d *Discoverer) Ready() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.broken
}

// look takes over the file if it changed and has no mistake, and reads the PID files.
func (d *Discoverer) look() {
	err := d.reload()
	snapshot := d.resolve()
	d.mu.Lock()
	defer d.mu.Unlock()
	if text(err) != text(d.broken) {
		d.tell(err)
	}
	d.broken, d.snapshot = err, snapshot
}

// reload reads the file. It compares the bytes and not the time of change: two writes
// within the file system's clock tick look alike.
func (d *Discoverer) reload() error {
	data, err := readFile(d.cfg.File)
	if err != nil {
		d.file = nil
		return fmt.Errorf("reading targets: %w", err)
	}
	if d.file != nil && bytes.Equal(data, d.file) {
		return d.Ready()
	}
	d.file = data
	f := File{node: d.node}
	if err := config.Parse(d.cfg.File, data, &f); err != nil {
		d.metrics.failures.Inc()
		return err
	}
	d.list = f.Targets
	d.metrics.reloads.Inc()
	d.log.Info("targets file read", zap.String("file", d.cfg.File), zap.Int("targets", len(d.list)))
	return nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(data) > maxBytes {
		err = fmt.Errorf("file %q: larger than %d bytes", path, maxBytes)
	}
	return data, err
}

// resolve makes targets of the entries as they are now.
func (d *Discoverer) resolve() discover.Snapshot {
	var s discover.Snapshot
	refused := map[gopprof.Reason]int{gopprof.ReasonNotStarted: 0, gopprof.ReasonBadInput: 0}
	for _, e := range d.list {
		t, err := e.target(d.node)
		if err != nil {
			continue // cannot be: Parse checked it
		}
		if e.PIDFile == "" {
			s.Targets = append(s.Targets, t)
			continue
		}
		pid, reason, err := readPID(e.PIDFile)
		if err != nil {
			s.Refused = append(s.Refused, gopprof.Refusal{Target: t, Reason: reason, Detail: err.Error()})
			refused[reason]++
			continue
		}
		t.Cgroup.PID = pid
		s.Targets = append(s.Targets, t)
	}
	d.metrics.targets.Set(float64(len(s.Targets)))
	for reason, n := range refused {
		d.metrics.refused.WithLabelValues(string(reason)).Set(float64(n))
	}
	return s
}

// tell logs that the file became, or is no longer, as it should be.
func (d *Discoverer) tell(err error) {
	if err == nil {
		d.log.Info("targets file mended", zap.String("file", d.cfg.File))
		return
	}
	d.log.Warn("targets file refused, former list kept", zap.String("file", d.cfg.File),
		zap.Int("targets", len(d.list)), zap.Error(err))
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
