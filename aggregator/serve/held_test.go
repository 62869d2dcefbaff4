package serve_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// stalled is a caller who takes nothing of what he is answered until he is let.
type stalled struct {
	*httptest.ResponseRecorder
	let <-chan struct{}
}

func (s stalled) Write(p []byte) (int, error) {
	<-s.let
	return s.ResponseRecorder.Write(p)
}

// reads counts what is read of a shelf.
type reads struct {
	*shelf
	mu             sync.Mutex
	bytes, reports int
}

func (r *reads) Report(ctx context.Context, id string) (gopprof.Report, error) {
	r.mu.Lock()
	r.reports++
	r.mu.Unlock()
	return r.shelf.Report(ctx, id)
}

func (r *reads) Read(ctx context.Context, key string) ([]byte, error) {
	data, err := r.shelf.Read(ctx, key)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += len(data)
	return data, err
}

// crowd is a server with callers who have their tokens.
type crowd struct {
	*serve.Server
	shelf     *reads
	report    gopprof.Report
	operation string
}

// testCrowd runs a test of callers within a clock of its own.
func testCrowd(t *testing.T, test func(t *testing.T, c crowd)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	text := fmt.Sprintf("tokens:\n- {token: %s, name: team-shop, namespaces: [shop]}\n- {token: %s, name: ada, namespaces: ['*']}\n", shopToken, adminToken)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	base := &scene{shelf: &shelf{blobs: map[string][]byte{}}}
	report := base.put("shop", "web-1")
	base.shelf.blobs[report.Files[0].Profile] = make([]byte, 20<<20)
	synctest.Test(t, func(t *testing.T) {
		shelf, cfg := &reads{shelf: base.shelf}, serve.DefaultConfig()
		cfg.TokensFile = config.SecretFile(path)
		op := operationOf("shop", gopprof.CaptureWaiting)
		behind := &desk{op: op, shows: []gopprof.Operation{op}, hang: true}
		server, err := serve.New(cfg, serve.Deps{Reports: shelf, Captures: behind, Groups: behind}, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		test(t, crowd{server, shelf, report, op.ID})
	})
}

func (c crowd) ask(t *testing.T, token, path string, w http.ResponseWriter) {
	c.askWithin(t.Context(), token, path, w)
}

func (c crowd) askWithin(ctx context.Context, token, path string, w http.ResponseWriter) {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	c.ServeHTTP(w, r)
}

// A caller who asks for many files and takes none of them fills no memory, and keeps no file
// from the others.
func TestCallersWhoTakeNothing(t *testing.T) {
	testCrowd(t, func(t *testing.T, c crowd) {
		var all sync.WaitGroup
		let, refused := make(chan struct{}), sync.Map{}
		for k := range 40 {
			all.Go(func() {
				w := httptest.NewRecorder()
				c.ask(t, shopToken, api.PathProfile(c.report.ID, gopprof.KindCPU), stalled{w, let})
				refused.Store(k, w.Code)
				if w.Code == http.StatusTooManyRequests && !strings.Contains(w.Body.String(), string(gopprof.ReasonBudget)) {
					t.Errorf("refused without a reason: %s", w.Body)
				}
			})
		}
		synctest.Wait()
		if held := c.shelf.bytes; held > 100<<20 {
			t.Errorf("a caller who takes nothing holds %d MiB", held>>20)
		}
		other := httptest.NewRecorder()
		c.ask(t, adminToken, api.PathProfile(c.report.ID, gopprof.KindCPU), other)
		if other.Code != http.StatusOK || other.Body.Len() != 20<<20 {
			t.Errorf("another caller: %d, %d bytes", other.Code, other.Body.Len())
		}
		time.Sleep(time.Minute)
		close(let)
		all.Wait()
		busy := 0
		refused.Range(func(_, code any) bool {
			if code == http.StatusTooManyRequests {
				busy++
			}
			return true
		})
		if busy == 0 || busy > 37 {
			t.Errorf("%d of 40 refused", busy)
		}
		after := httptest.NewRecorder()
		c.ask(t, shopToken, api.PathBundle(c.report.ID), after)
		if after.Code != http.StatusOK || after.Body.Len() < 20<<20 {
			t.Errorf("once it was taken: %d, %d bytes", after.Code, after.Body.Len())
		}
	})
}

// Nor do whole reports, by whatever way they are asked for.
func TestCallersWhoTakeNoReports(t *testing.T) {
	testCrowd(t, func(t *testing.T, c crowd) {
		var all sync.WaitGroup
		let, answered := make(chan struct{}), [2]atomic.Int64{}
		paths := []string{api.PathReport(c.report.ID), api.PathBundle(c.report.ID), "/reports/" + c.report.ID}
		for k := range 60 {
			all.Go(func() {
				w := httptest.NewRecorder()
				c.ask(t, shopToken, paths[k%3], stalled{w, let})
				switch {
				case w.Code == http.StatusOK:
					answered[0].Add(1)
				case w.Code == http.StatusTooManyRequests && strings.Contains(w.Body.String(), "ask again later"):
					answered[1].Add(1)
				default:
					t.Errorf("%s: %d %s", paths[k%3], w.Code, w.Body)
				}
			})
		}
		synctest.Wait()
		if n := c.shelf.reports; n > 8 {
			t.Errorf("a caller who takes nothing holds %d reports", n)
		}
		for _, path := range paths {
			other := httptest.NewRecorder()
			if c.ask(t, adminToken, path, other); other.Code != http.StatusOK {
				t.Errorf("another caller: %s: %d", path, other.Code)
			}
		}
		time.Sleep(time.Minute)
		close(let)
		all.Wait()
		if answered[0].Load() != 8 || answered[1].Load() != 52 {
			t.Errorf("%d answered, %d refused; want 8 and 52", answered[0].Load(), answered[1].Load())
		}
		for range 20 {
			after := httptest.NewRecorder()
			if c.ask(t, shopToken, paths[0], after); after.Code != http.StatusOK {
				t.Errorf("once they were taken: %d", after.Code)
			}
		}
	})
}

// Who follows operations leaves room for others who do.
func TestFollowersWithoutEnd(t *testing.T) {
	testCrowd(t, func(t *testing.T, c crowd) {
		var all sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		path, refused := api.PathEvents(c.operation), atomic.Int64{}
		follow := func(token string) {
			w := httptest.NewRecorder()
			c.askWithin(ctx, token, path, w)
			switch {
			case w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "":
				refused.Add(1)
			case w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "event: state"):
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
		for range 600 {
			all.Go(func() { follow(shopToken) })
		}
		time.Sleep(time.Minute)
		if n := refused.Load(); n != 100 {
			t.Errorf("%d of 600 followers refused, want 100", n)
		}
		for range 500 {
			all.Go(func() { follow(adminToken) })
		}
		time.Sleep(time.Minute)
		if n := refused.Load(); n != 100 {
			t.Errorf("%d of another caller's refused", n-100)
		}
		stop()
		all.Wait()
	})
}
