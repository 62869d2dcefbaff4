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
	mu    sync.Mutex
	bytes int
}

func (r *reads) Read(ctx context.Context, key string) ([]byte, error) {
	data, err := r.shelf.Read(ctx, key)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += len(data)
	return data, err
}

// A caller who asks for many files and takes none of them fills no memory, and keeps no file
// from the others.
func TestCallersWhoTakeNothing(t *testing.T) {
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
		server, err := serve.New(cfg, serve.Deps{Reports: shelf, Captures: &desk{}, Groups: &desk{}}, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		ask := func(token, path string, w http.ResponseWriter) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			server.ServeHTTP(w, r)
		}
		let, refused := make(chan struct{}), sync.Map{}
		for k := range 40 {
			all.Go(func() {
				w := httptest.NewRecorder()
				ask(shopToken, api.PathProfile(report.ID, gopprof.KindCPU), stalled{w, let})
				refused.Store(k, w.Code)
				if w.Code == http.StatusTooManyRequests && !strings.Contains(w.Body.String(), string(gopprof.ReasonBudget)) {
					t.Errorf("refused without a reason: %s", w.Body)
				}
			})
		}
		synctest.Wait()
		if held := shelf.bytes; held > 100<<20 {
			t.Errorf("a caller who takes nothing holds %d MiB", held>>20)
		}
		other := httptest.NewRecorder()
		ask(adminToken, api.PathProfile(report.ID, gopprof.KindCPU), other)
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
		ask(shopToken, api.PathBundle(report.ID), after)
		if after.Code != http.StatusOK || after.Body.Len() < 20<<20 {
			t.Errorf("once it was taken: %d, %d bytes", after.Code, after.Body.Len())
		}
	})
}
