package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// A file is read into as much memory as it has: it may be a view's, and as large as files may be.
func TestReadingTakesABlobOnce(t *testing.T) {
	const size = 16 << 20
	s, dir := openFiles(t)
	r := commitBare(t, s)
	p, err := placeOf(r.Capture)
	if err != nil {
		t.Fatal(err)
	}
	key := p.folder() + "cpu.pb.gz"
	if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(key)), make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	data, err := s.Read(t.Context(), key)
	runtime.ReadMemStats(&after)
	if err != nil || len(data) != size {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > size*5/4 {
		t.Errorf("%d bytes were taken to read %d", took, size)
	}
}

// All who list read no more at once, together, than there is room for.
func TestListsShareTheRoomForReports(t *testing.T) {
	s, _ := openFiles(t)
	r := commitBare(t, s)
	s.index.remove(r.ID)
	s.index.floor = highestID // it is in the store only
	list := func() ([]gopprof.Report, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		page, err := s.List(ctx, Query{})
		return page.Reports, err
	}
	if !s.reading.TryAcquire(bytesAtOnce) {
		t.Fatal("there is not as much room as there should be")
	}
	if found, err := list(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without room: %d reports, %v", len(found), err)
	}
	s.reading.Release(bytesAtOnce)
	page, err := s.List(t.Context(), Query{})
	if err != nil || len(page.Reports) != 1 {
		t.Errorf("%d reports, %v; want 1", len(page.Reports), err)
	}
	if !s.reading.TryAcquire(bytesAtOnce) {
		t.Error("room was not given back")
	}
}

func openFiles(t *testing.T) (s *Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	c := DefaultConfig()
	c.URL = "file://" + dir
	s, err := Open(t.Context(), c, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) //nolint:errcheck // it held files only
	return s, dir
}

func commitBare(t *testing.T, s *Store) gopprof.Report {
	t.Helper()
	r := gopprof.Report{Version: gopprof.ReportVersion, ID: someID, Capture: gopprof.Capture{ID: someID}}
	if err := s.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}
