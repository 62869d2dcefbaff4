// Package store keeps reports: the profiles as their targets sent them, their drawings,
// and report.json, in one folder per report of a blob store (a directory, S3, Google
// Cloud Storage, Azure). Captures and reports enter; pages of reports and bytes leave.
//
// report.json is the commit mark and the truth: it is written last, once, and only if
// absent, so a folder without it is not a report and is never listed. What was stored is
// never changed. No name that comes from a pod may lead out of its report's folder, and
// nothing in the bucket that this package did not write is read or deleted.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
)

// What a caller may branch on.
var (
	// ErrNotFound says that there is no such report or blob (any more).
	ErrNotFound = errors.New("not found in the store")
	// ErrExists says that another report of the same identifier was committed before:
	// that one counts (Committed returns it).
	ErrExists = errors.New("another report is committed under this identifier")
	// ErrDifferent says that other bytes are stored under the key: somebody used an
	// identifier twice. Trying again does not help.
	ErrDifferent = errors.New("different bytes are stored under this key")
	// ErrInvalid says that a capture or report cannot be stored as it is (an identifier
	// that is none, a kind nobody knows, a file of another report). Trying again does not help.
	ErrInvalid = errors.New("cannot be stored")
	// ErrBroken says that a report.json is there and cannot be understood.
	ErrBroken = errors.New("stored report is broken")
	// ErrTooLarge says that a blob is larger than the store reads into memory.
	ErrTooLarge = errors.New("stored blob is too large")
)

// Store is a blob store of reports with the newest ones indexed in memory.
// Its methods may be called at once from many goroutines.
type Store struct {
	cfg     Config
	blobs   *blobs
	index   *index
	broken  *brokenReports
	reading *semaphore.Weighted // bytes of reports, by all who list
	log     *zap.Logger
	metrics *metrics
	now     func() time.Time
	ready   *readiness
	turns   turns
}

// Open opens the store at cfg.URL. It does not wait for a remote one to answer: Ready
// tells when it did. Run must run for the index to be filled and the store to be swept;
// without it everything is read from the store.
func Open(ctx context.Context, cfg Config, log *zap.Logger, reg prometheus.Registerer) (*Store, error) {
	b, err := openBlobs(ctx, cfg, log)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return newStore(cfg, b, log, reg), nil
}

func newStore(cfg Config, b *blobs, log *zap.Logger, reg prometheus.Registerer) *Store {
	m := newMetrics(reg)
	return &Store{
		cfg: cfg, blobs: b, index: newIndex(cfg.IndexReports), broken: newBrokenReports(log, m),
		reading: semaphore.NewWeighted(bytesAtOnce),
		log:     log, metrics: m, now: time.Now, ready: &readiness{err: errNotRebuilt},
	}
}

// Close releases connections. No other method may be running or follow.
func (s *Store) Close() error { return s.blobs.bucket.Close() }

var errNotRebuilt = errors.New("the index of reports is not filled yet")

type readiness struct {
	mu  sync.Mutex
	err error
}

func (r *readiness) get() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *readiness) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	if err != nil {
		r.err = fmt.Errorf("%w: %w", errNotRebuilt, err)
	}
}
