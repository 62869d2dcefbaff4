package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What is read into memory is bounded: report.json is our own, a profile was bounded when
// it was taken.
const (
	maxReportBytes = 16 << 20
	maxBlobBytes   = 512 << 20
)

// Committed returns the report that was committed for a capture, if any. It looks at one
// key and lists nothing.
func (s *Store) Committed(ctx context.Context, c gopprof.Capture) (gopprof.Report, bool, error) {
	p, err := placeOf(c)
	if err != nil {
		return gopprof.Report{}, false, fmt.Errorf("looking for report %q: %w", c.ID, err)
	}
	r, err := s.readReport(ctx, p)
	if errors.Is(err, ErrNotFound) {
		return gopprof.Report{}, false, nil
	}
	return r, err == nil, err
}

// Report returns the whole report of an identifier, from the store: memory holds what lists
// show of it, and so where it lies. ErrNotFound when there is none, also for an identifier
// that is none.
func (s *Store) Report(ctx context.Context, id string) (gopprof.Report, error) {
	if gopprof.CheckID(id) != nil {
		return gopprof.Report{}, fmt.Errorf("report: %w", ErrNotFound)
	}
	if e, ok := s.index.get(id); ok {
		return s.indexed(ctx, e)
	}
	refs, err := s.dayRefs(ctx, idTime(id), Query{})
	if err != nil {
		return gopprof.Report{}, fmt.Errorf("looking for report %q: %w", id, err)
	}
	for _, ref := range refs {
		if ref.id == id && ref.committed {
			return s.readReport(ctx, ref.place)
		}
	}
	return gopprof.Report{}, fmt.Errorf("report %q: %w", id, ErrNotFound)
}

// indexed returns the whole report of an entry.
func (s *Store) indexed(ctx context.Context, e *entry) (gopprof.Report, error) {
	r, err := e.report()
	if err != nil {
		return gopprof.Report{}, err
	}
	p, err := placeOf(r.Capture)
	if err != nil {
		return gopprof.Report{}, fmt.Errorf("looking for report %q: %w", e.id, err)
	}
	return s.readReport(ctx, p)
}

// Read returns a stored blob by its key, as a report or its File names it. A key of any
// other shape is ErrNotFound.
func (s *Store) Read(ctx context.Context, key string) ([]byte, error) {
	if _, _, ok := parseKey(key); !ok {
		return nil, fmt.Errorf("blob: %w", ErrNotFound)
	}
	c, err := s.blobs.read(ctx, key, maxBlobBytes)
	return c.data, err
}

func (s *Store) readReport(ctx context.Context, p place) (gopprof.Report, error) {
	key := p.folder() + reportFile
	c, err := s.blobs.read(ctx, key, maxReportBytes)
	if errors.Is(err, ErrTooLarge) {
		return gopprof.Report{}, s.broken.note(p.id, fmt.Errorf("%w: %w", ErrBroken, err))
	}
	if err != nil {
		return gopprof.Report{}, err
	}
	r, err := decodeReport(c.data, p)
	if err != nil {
		return gopprof.Report{}, s.broken.note(p.id, fmt.Errorf("reading %q: %w: %w", key, ErrBroken, err))
	}
	return r, nil
}

// decodeReport takes nothing on trust: a report.json may have been edited, cut short, or
// written by a later version.
func decodeReport(data []byte, p place) (gopprof.Report, error) {
	var r gopprof.Report
	if err := json.Unmarshal(data, &r); err != nil {
		return gopprof.Report{}, err
	}
	if r.Version < 1 || r.Version > gopprof.ReportVersion {
		return gopprof.Report{}, fmt.Errorf("version %d is not known", r.Version)
	}
	own, err := placeOf(r.Capture)
	if err != nil {
		return gopprof.Report{}, err
	}
	if r.ID != p.id || own != p {
		return gopprof.Report{}, errors.New("it is another report's")
	}
	return r, checkFiles(r, p.folder())
}

// brokenReports remembers which reports are broken, so that each is logged and counted
// once and the rebuilt index does not read it again and again.
type brokenReports struct {
	log     *zap.Logger
	metrics *metrics

	mu  sync.Mutex
	ids map[string]bool
}

// maxBroken bounds the memory of it; past it a broken report is reported more than once.
const maxBroken = 10_000

func newBrokenReports(log *zap.Logger, m *metrics) *brokenReports {
	return &brokenReports{log: log, metrics: m, ids: make(map[string]bool)}
}

// note returns err.
func (b *brokenReports) note(id string, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ids[id] {
		return err
	}
	if len(b.ids) >= maxBroken {
		clear(b.ids)
	}
	b.ids[id] = true
	b.metrics.broken.Inc()
	b.log.Error("broken report skipped", zap.String("capture", id), zap.Error(err))
	return err
}

func (b *brokenReports) has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ids[id]
}
