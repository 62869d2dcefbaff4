package publish

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/durable"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"go.uber.org/zap"
)

const (
	suffix    = ".capture"
	asideDir  = "aside" // below the spool: entries that can never be sent
	asideMost = 4       // how many of them are kept, for whoever looks into it
)

// scan finds what an earlier process left.
func (p *Publisher) scan() error {
	if _, err := durable.RemoveTemps(p.cfg.Dir); err != nil {
		return err
	}
	files, err := waiting(p.cfg.Dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		p.index.add(strings.TrimSuffix(f.Name(), suffix), f.Size(), f.ModTime(), time.Time{})
	}
	if len(files) > 0 {
		p.log.Info("spool replayed", zap.Int("captures", len(files)), zap.Int64("bytes", p.index.bytes))
	}
	p.trim()
	return nil
}

// waiting lists the entries of a spool, oldest first.
func waiting(dir string) ([]fs.FileInfo, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []fs.FileInfo
	for _, d := range names {
		id, ok := strings.CutSuffix(d.Name(), suffix)
		if !ok || !d.Type().IsRegular() || gopprof.CheckID(id) != nil {
			continue
		}
		st, err := d.Info()
		if err != nil {
			return nil, err
		}
		files = append(files, st)
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	return files, nil
}

// add notes a new entry and keeps the spool within its bound. p.files is held.
func (p *Publisher) add(id string, size int64, heldUntil time.Time) {
	p.mu.Lock()
	p.index.add(id, size, p.now(), heldUntil)
	p.mu.Unlock()
	p.trim()
	p.signal()
}

// trim drops the oldest entries beyond the bound. p.files is held.
func (p *Publisher) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.index.beyond(p.cfg.MaxBytes) {
		if err := os.Remove(p.path(e.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.log.Error("spool entry not removed", zap.String("capture", e.id), zap.Error(err))
		}
		p.index.remove(e.id)
		p.lost(e.id, gopprof.ReasonSpoolFull, fmt.Errorf("spool bound of %d bytes reached", p.cfg.MaxBytes))
	}
}

func (p *Publisher) lost(id string, reason gopprof.Reason, err error) {
	p.metrics.dropped.WithLabelValues(string(reason)).Inc()
	p.log.Warn("spooled capture dropped", zap.String("capture", id), zap.String("reason", string(reason)), zap.Error(err))
}

// aside takes an entry that can never be sent out of the way of the others.
func (p *Publisher) aside(e entry, reason gopprof.Reason, cause error) {
	p.files.Lock()
	defer p.files.Unlock()
	defer p.forget(e, nil)
	if !p.holds(e) {
		return
	}
	p.lost(e.id, reason, cause)
	if err := p.moveAside(e.id); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Error("spool entry not moved aside, deleting it", zap.String("capture", e.id), zap.Error(err))
		_ = os.Remove(p.path(e.id)) // at worst the next start finds it again
	}
}

func (p *Publisher) moveAside(id string) error {
	dir := filepath.Join(p.cfg.Dir, asideDir)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := durable.Rename(p.path(id), filepath.Join(dir, id+suffix)); err != nil {
		return err
	}
	files, err := waiting(dir)
	if err != nil {
		return err
	}
	for _, f := range files[:max(0, len(files)-asideMost)] {
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			return err
		}
	}
	return nil
}
