package store

import (
	"context"
	"errors"
	"net/url"
	"time"

	"go.uber.org/zap"
	"gocloud.dev/blob"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// OpenOver opens a store on a bucket that is open already: memory is gone with its bucket.
func OpenOver(bucket *blob.Bucket, cfg Config, log *zap.Logger) *Store {
	return newStore(cfg, cloudBlobs(bucket, cfg.Prefix), log, prometheus.NewRegistry())
}

// SetClock sets the store's time.
func (s *Store) SetClock(now func() time.Time) { s.now = now }

// OpenBucket opens a bucket as the store does, to look behind its back.
func OpenBucket(ctx context.Context, bucketURL, credentialsFile string) (*blob.Bucket, error) {
	u, err := url.Parse(bucketURL)
	if err != nil {
		return nil, err
	}
	return openCloud(ctx, u, credentialsFile, zap.NewNop())
}

// FailRemove makes deletions fail for which fail returns an error.
func (s *Store) FailRemove(fail func(key string) error) {
	s.blobs.writer = failingRemove{s.blobs.writer, fail}
}

type failingRemove struct {
	writer
	fail func(key string) error
}

func (f failingRemove) remove(ctx context.Context, key string) error {
	if err := f.fail(key); err != nil {
		return err
	}
	return f.writer.remove(ctx, key)
}

// LoseAnswers makes deletions fail after they were done.
func (s *Store) LoseAnswers(err error) { s.blobs.writer = answerless{s.blobs.writer, err} }

type answerless struct {
	writer
	err error
}

func (a answerless) remove(ctx context.Context, key string) error {
	return errors.Join(a.writer.remove(ctx, key), a.err)
}

// Create writes a blob that must not be there.
func (s *Store) Create(ctx context.Context, key string, data []byte) error {
	return s.blobs.create(ctx, key, data, typeDrawing)
}

// ErrBlobExists is the answer of Create when it is there.
var ErrBlobExists = errBlobExists

// Overwrite writes a blob that is there, unless the store refuses that for good.
func (s *Store) Overwrite(ctx context.Context, key string, data []byte) error {
	return s.overwrite(ctx, key, data, typeDrawing)
}

// Remove deletes a blob.
func (s *Store) Remove(ctx context.Context, key string) error { return s.blobs.remove(ctx, key) }

// Failures is how many operations have failed.
func (s *Store) Failures(operation string) float64 {
	return testutil.ToFloat64(s.metrics.failures.WithLabelValues(operation))
}

// Swept is how many reports and leftovers sweeps have deleted for a cause.
func (s *Store) Swept(cause string) float64 {
	return testutil.ToFloat64(s.metrics.swept.WithLabelValues(cause))
}

// SweptBytes is how many bytes sweeps have deleted.
func (s *Store) SweptBytes() int64 { return int64(testutil.ToFloat64(s.metrics.sweptBytes)) }

// Stored is what the last sweep says that it has left.
func (s *Store) Stored() (reports int, bytes int64) {
	return int(testutil.ToFloat64(s.metrics.reports)), int64(testutil.ToFloat64(s.metrics.stored))
}

// FailReplace makes overwriting fail for which fail returns an error; nil is no more.
func (s *Store) FailReplace(fail func(key string) error) {
	if f, ok := s.blobs.writer.(failingReplace); ok {
		s.blobs.writer = f.writer
	}
	if fail != nil {
		s.blobs.writer = failingReplace{s.blobs.writer, fail}
	}
}

type failingReplace struct {
	writer
	fail func(key string) error
}

func (f failingReplace) replace(_ context.Context, key string, _ []byte, _ string) error {
	return f.fail(key)
}

// Fill fills the index, once, as Run does.
func (s *Store) Fill(ctx context.Context) error { return s.fillFirst(ctx, nil) }

// RefuseLinks makes the file system one that knows no links.
func (s *Store) RefuseLinks(err error) {
	s.blobs.writer.(*fileWriter).hardLink = func(string, string) error { return err }
}
