package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

const clusterIssuer = "https://kubernetes.default.svc"

// apiServer is as much of a cluster as an aggregator needs. Whatever else is asked of it
// is a failure of the test.
type apiServer struct {
	*httptest.Server
	key   *ecdsa.PrivateKey
	dir   string
	token string // the aggregator's

	more map[string]func(*http.Request) any // what else is answered, by path; set before anything is asked

	mu        sync.Mutex
	configMap string // ca.crt in it
}

func startAPIServer(t *testing.T) *apiServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &apiServer{key: key, dir: t.TempDir(), token: "the aggregator's own", more: map[string]func(*http.Request) any{}}
	mux := http.NewServeMux()
	say := func(pattern string, v any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+s.token {
				t.Errorf("%s without the aggregator's token", r.URL.Path)
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v)
		})
	}
	say("GET /openid/v1/jwks", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Algorithm: "ES256", Use: "sig"}}})
	say("GET /.well-known/openid-configuration", map[string]string{"issuer": clusterIssuer})
	say("GET /api/v1/namespaces/shop", object("Namespace", "shop", "", map[string]string{"gopprof.io/owner": "team-shop"}))
	say("GET /api/v1/namespaces/shop/pods/web-0", object("Pod", "web-0", "u1", map[string]string{"gopprof.io/link-runbook": "https://wiki/web"}))
	mux.HandleFunc("PATCH /api/v1/namespaces/gopprof/configmaps/gopprof-ca", func(w http.ResponseWriter, r *http.Request) {
		var patch struct{ Data map[string]string }
		if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
			t.Errorf("patch: %v, %q", err, r.Header.Get("Content-Type"))
		}
		s.mu.Lock()
		s.configMap = patch.Data["ca.crt"]
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(object("ConfigMap", "gopprof-ca", "", nil))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if answer, ok := s.more[r.URL.Path]; ok && r.Header.Get("Authorization") == "Bearer "+s.token {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer(r))
			return
		}
		t.Errorf("asked for %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusForbidden)
	})
	s.Server = httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	s.file(t, "api.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	s.file(t, "api.token", s.token)
	return s
}

func object(kind, name, uid string, annotations map[string]string) any {
	return map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name, "uid": uid, "annotations": annotations}}
}

// file writes a file of the test and returns its path.
func (s *apiServer) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *apiServer) agentToken(t *testing.T, account string) string {
	t.Helper()
	x, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: "one"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	named := func(name string) map[string]string { return map[string]string{"name": name} }
	token, err := jwt.Signed(x).Claims(map[string]any{
		"iss": clusterIssuer, "sub": "system:serviceaccount:gopprof:" + account, "aud": "gopprof", "exp": time.Now().Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{"namespace": "gopprof", "serviceaccount": named(account), "node": named("node-1"), "pod": named("p")},
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (s *apiServer) published() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.configMap
}

// loadText reads a configuration as the program does.
func loadText(t *testing.T, s *apiServer, text string) Config {
	t.Helper()
	c, err := LoadConfig(s.file(t, "aggregator.yaml", text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func runApp(t *testing.T, c Config) *App {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), c, Workers{Draw: []string{"false"}, View: []string{self, "view-worker"}}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return a
}

// TestInKubernetes: the aggregator publishes its authority; with that and a token of the
// agents' account, and nothing else, an agent connects and is heard; another account's pod
// is not; owners are found.
func TestInKubernetes(t *testing.T) {
	s := startAPIServer(t)
	a := runApp(t, loadText(t, s, strings.NewReplacer("DIR", s.dir, "URL", s.URL).Replace(`
status: {listen: "127.0.0.1:0"}
serve: {listen: "127.0.0.1:0"}
store: {url: "file://DIR/reports?create_dir=true"}
embedded:
  listen: 127.0.0.1:0
  dir: DIR/nats
  own_ca: {enabled: true, dir: DIR/ca, names: [127.0.0.1]}
kubernetes:
  enabled: true
  cluster: prod
  server: {url: "URL", ca_file: DIR/api.crt, token_file: DIR/api.token}
  ca: {config_map: gopprof/gopprof-ca}
`)))
	poll.Until(t, "the CA is published", func() bool { return s.published() != "" })
	c := bus.DefaultConfig()
	c.URL, c.CAFile, c.ReconnectWait = a.NATSURL(), s.file(t, "ca.crt", s.published()), 200*time.Millisecond
	c.TokenFile = config.SecretFile(s.file(t, "token", s.agentToken(t, "default")))
	agent, err := bus.ConnectAgent(t.Context(), c, "prod", "node-1", zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close(context.Background()) })
	poll.Until(t, "another account is refused", func() bool { return errors.Is(agent.Connected(), bus.ErrRefused) })
	s.file(t, "token", s.agentToken(t, "gopprof-agent"))
	poll.Until(t, "the agent is heard", func() bool {
		_ = agent.PublishState(t.Context(), gopprof.NodeState{Cluster: "prod", Node: "node-1", At: time.Now()})
		return len(a.dispatch.Nodes()) == 1
	})
	owner, links := a.owners.Owner(t.Context(), gopprof.Target{Cluster: "prod", Namespace: "shop", Pod: "web-0", PodUID: "u1"})
	if owner != "team-shop" || links["runbook"] != "https://wiki/web" {
		t.Errorf("owner %q, links %v", owner, links)
	}
}

func TestKubernetesMustMakeSense(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aggregator.yaml")
	for text, want := range map[string]string{
		"kubernetes: {cluster: \"\"}":                                                                      "kubernetes.cluster",
		"kubernetes: {ca: {config_map: a/b}}":                                                              "kubernetes.ca.config_map",
		"embedded: {own_ca: {enabled: true}}\nkubernetes: {ca: {config_map: a/b}}":                         "",
		"kubernetes: {ca: {config_map: a/b, file: /x}}":                                                    "",
		"nats: {url: tls://x}\nembedded: {own_ca: {enabled: true}}\nkubernetes: {ca: {config_map: a/b}}":   "kubernetes.ca.config_map",
		"embedded: {own_ca: {enabled: true, names: [\"a b\"]}}":                                            "embedded.own_ca.names[0]",
		"serve: {token_review: true}":                                                                      "serve.token_review",
		"serve: {token_review: true}\nkubernetes: {enabled: true}":                                         "",
		"serve: {api_service: {listen: \":10250\", own_ca: {enabled: true}}}":                              "serve.api_service.listen",
		"serve: {api_service: {listen: \":10250\"}}\nkubernetes: {enabled: true}":                          "serve.api_service.listen",
		"serve: {api_service: {listen: \":10250\", own_ca: {enabled: true}}}\nkubernetes: {enabled: true}": "",
		"serve: {api_service: {listen: \":10250\", own_ca: {enabled: true, names: [\"a b\"]}}}":            "serve.api_service.own_ca.names[0]",
		"kubernetes: {callers: {audience: \"\"}}":                                                          "kubernetes.callers.audience",
		"kubernetes: {tokens: {audience: \"\"}}":                                                           "kubernetes.tokens.audience",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadConfig(path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want+":")) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
