package series

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/test/parts"
)

// influx refuses the first batch.
type influx struct {
	mu      sync.Mutex // guards the rest
	batches int
	came    chan struct{} // closed with the third batch
}

func (i *influx) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/write") {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.batches++; i.batches == 3 {
		close(i.came)
	}
	if i.batches == 1 {
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// A batch that failed is a gap, and not the end of the witness.
func TestFailedBatchIsAGap(t *testing.T) {
	if _, err := read("/"); err != nil {
		parts.Missing(t, "the root's cgroup cannot be read: %v", err)
	}
	db := &influx{came: make(chan struct{})}
	server := httptest.NewServer(db)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- New(Config{URL: server.URL, Database: "k8s", Interval: 50 * time.Millisecond, Cgroup: "/"}).Run(ctx)
	}()
	select {
	case <-db.came:
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	case err := <-ended:
		t.Errorf("it ended after %d batches: %v", db.batches, err)
	}
}

// After a gap there is no rate: it would be the mean of two intervals under the name of one.
func TestRatesAreOfOneInterval(t *testing.T) {
	w := New(Config{Interval: 10 * time.Second, Node: "n", Namespace: "shop", Pod: "p", Container: "c d"})
	at := time.Unix(1000, 0)
	now := usage{at: at, cpu: 3 * time.Second, limitMillicores: 500, workingSet: 7}
	for name, before := range map[string]usage{"nothing": {}, "two intervals ago": {at: at.Add(-20 * time.Second), cpu: time.Second}} {
		if lines := w.lines(before, now, at); strings.Contains(lines, "usage_rate") || !strings.Contains(lines, "memory/working_set") {
			t.Errorf("after %s:\n%s", name, lines)
		}
	}
	lines := w.lines(usage{at: at.Add(-10 * time.Second), cpu: time.Second}, now, at)
	if want := `cpu/usage_rate,type=pod_container,namespace_name=shop,pod_name=p,container_name=c\ d,nodename=n,container_base_image=burner value=200i 1000000000000`; !strings.Contains(lines, want) {
		t.Errorf("got\n%swant\n%s", lines, want)
	}
}
