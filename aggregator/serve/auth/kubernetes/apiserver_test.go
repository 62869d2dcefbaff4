package kubernetes

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	v1 "k8s.io/api/authentication/v1"
	authz "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

const issuer = "https://kubernetes.default.svc"

// signer is a key of the API server with its ID.
type signer struct {
	id  string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

func newSigner(t testing.TB, id string, alg jose.SignatureAlgorithm) signer {
	t.Helper()
	var key crypto.Signer
	var err error
	if alg == jose.ES256 {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, alg, key}
}

// apiServer is as much of an API server as tokens need, over TLS.
type apiServer struct {
	*httptest.Server
	keyFetches, reviews, accesses atomic.Int64

	mu        sync.Mutex // guards what follows
	signers   []signer
	hidesKeys bool // 403, as where the discovery role was taken away
	down      bool
	user      string // whom reviews find behind tokens of others; empty: nobody
	may       func(authz.SubjectAccessReviewSpec) authz.SubjectAccessReviewStatus
	hold      chan struct{} // reviews wait until it is closed; nil: they do not
	patches   []string      // of the APIService, as they came
}

func startAPIServer(t testing.TB, signers ...signer) *apiServer {
	t.Helper()
	s := &apiServer{signers: signers}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /openid/v1/jwks", s.jwks)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"issuer": issuer, "jwks_uri": issuer + "/openid/v1/jwks"})
	})
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", s.review)
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", s.access)
	mux.HandleFunc("PATCH /apis/apiregistration.k8s.io/v1/apiservices/v1.gopprof.io", s.patch)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		down := s.down
		s.mu.Unlock()
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	s.EnableHTTP2 = true // as the real one: a thousand reviews share a few connections
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) set(change func(*apiServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *apiServer) jwks(w http.ResponseWriter, _ *http.Request) {
	s.keyFetches.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hidesKeys {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	var set jose.JSONWebKeySet
	for _, x := range s.signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: x.key.Public(), KeyID: x.id, Algorithm: string(x.alg), Use: "sig"})
	}
	answer(w, set)
}

// review judges as the real one does.
func (s *apiServer) review(w http.ResponseWriter, r *http.Request) {
	s.reviews.Add(1)
	var review v1.TokenReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	hold := s.hold
	review.Status = s.judge(review.Spec)
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	answer(w, review)
}

func (s *apiServer) access(w http.ResponseWriter, r *http.Request) {
	s.accesses.Add(1)
	var review authz.SubjectAccessReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	review.Status = s.may(review.Spec)
	answer(w, review)
}

func (s *apiServer) patch(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" || r.URL.Query().Get("fieldManager") != "gopprof-aggregator" {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.patches = append(s.patches, string(body))
	answer(w, map[string]string{"kind": "APIService"})
}

func (s *apiServer) judge(spec v1.TokenReviewSpec) v1.TokenReviewStatus {
	if s.user != "" {
		return v1.TokenReviewStatus{Authenticated: true, User: v1.UserInfo{Username: s.user}, Audiences: spec.Audiences}
	}
	t, err := jwt.ParseSigned(spec.Token, algorithms())
	if err != nil {
		return v1.TokenReviewStatus{Error: "no token"}
	}
	for _, x := range s.signers {
		var c claims
		if x.id != t.Headers[0].KeyID || t.Claims(x.key.Public(), &c) != nil || c.Issuer != issuer {
			continue
		}
		var audiences []string
		for _, a := range c.Audience {
			if slices.Contains(spec.Audiences, a) {
				audiences = append(audiences, a)
			}
		}
		if len(audiences) == 0 || !time.Now().Before(c.Expiry.Time()) {
			break
		}
		k := c.Kubernetes
		return v1.TokenReviewStatus{Authenticated: true, Audiences: audiences, User: v1.UserInfo{Username: c.Subject, Extra: map[string]v1.ExtraValue{
			extraNode: {k.Node.Name}, extraPod: {k.Pod.Name}, extraPodUID: {k.Pod.UID},
		}}}
	}
	return v1.TokenReviewStatus{Error: "not authenticated"}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (s *apiServer) config() *rest.Config {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	// The real one speaks protobuf too.
	json := rest.ContentConfig{ContentType: "application/json"}
	return &rest.Config{Host: s.URL, ContentConfig: json, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
}

// clock is a time that the test moves on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }
func (v *Verifier) setClock(c *clock)    { v.now, v.keys.now, v.reviews.now = c.now, c.now, c.now }
func (v *Verifier) counted(r result) int64 {
	return int64(testutil.ToFloat64(v.met.tokens.WithLabelValues(string(r))))
}

func newTestVerifier(t testing.TB, s *apiServer) (*Verifier, *clock) {
	t.Helper()
	v, err := NewVerifier(DefaultConfig(), "prod", s.config(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{}
	v.setClock(c)
	return v, c
}

// token returns the claims of an agent's token, as Kubernetes 1.36 projects it.
func token(node string) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": issuer, "sub": "system:serviceaccount:gopprof:gopprof-agent", "aud": []string{"gopprof"}, "jti": "7f1c",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{
			"namespace": "gopprof", "serviceaccount": map[string]any{"name": "gopprof-agent", "uid": "a1"},
			"node": map[string]any{"name": node, "uid": "n1"}, "pod": map[string]any{"name": "gopprof-agent-x", "uid": "p1"},
		},
	}
}

func (x signer) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	return signWith(t, jose.SigningKey{Algorithm: x.alg, Key: jose.JSONWebKey{Key: x.key, KeyID: x.id}}, claims)
}

func signWith(t testing.TB, key jose.SigningKey, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}
