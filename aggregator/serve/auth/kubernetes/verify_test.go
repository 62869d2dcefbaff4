package kubernetes

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/test/poll"
)

func TestAgentIsKnownByItsToken(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256} {
		x := newSigner(t, "one", alg)
		s := startAPIServer(t, newSigner(t, "other", jose.ES256), x)
		v, _ := newTestVerifier(t, s)
		cluster, node, expires, err := v.VerifyAgent(t.Context(), x.sign(t, token("node-1")))
		if err != nil || cluster != "prod" || node != "node-1" || time.Until(expires) < 59*time.Minute {
			t.Errorf("%s: %q, %q, %s, %v", alg, cluster, node, expires, err)
		}
		if s.reviews.Load() != 0 || v.counted(accepted) != 1 {
			t.Errorf("%s: %d reviews, %d accepted", alg, s.reviews.Load(), v.counted(accepted))
		}
		id, err := v.Verify(t.Context(), x.sign(t, token("node-1")))
		if err != nil || id.Account() != "gopprof/gopprof-agent" || id.Pod != "gopprof-agent-x" || id.PodUID != "p1" {
			t.Errorf("%s: %+v, %v", alg, id, err)
		}
	}
}

// hostile are tokens that must not make an agent, each with why.
func hostile(t *testing.T, x signer) map[string]struct {
	token string
	want  result
} {
	signed := func(change func(c map[string]any)) string {
		c := token("node-1")
		change(c)
		return x.sign(t, c)
	}
	bound := func(what string, value any) string {
		return signed(func(c map[string]any) { c["kubernetes.io"].(map[string]any)[what] = value })
	}
	good := x.sign(t, token("node-1"))
	parts := strings.Split(good, ".")
	changed, err := json.Marshal(token("node-2"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(x.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	impostor, stranger := newSigner(t, x.id, jose.ES256), newSigner(t, "stranger", jose.ES256)
	own, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: impostor.key}, (&jose.SignerOptions{EmbedJWK: true}).WithHeader("kid", x.id))
	if err != nil {
		t.Fatal(err)
	}
	embedded, err := own.Sign(changed)
	if err != nil {
		t.Fatal(err)
	}
	embeddedToken, err := embedded.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]struct {
		token string
		want  result
	}{
		"empty":                   {"", malformed},
		"no token":                {"what", malformed},
		"huge":                    {good + strings.Repeat("A", maxTokenBytes), malformed},
		"cut":                     {good[:len(good)/2], malformed},
		"without algorithm":       {b64([]byte(`{"alg":"none","kid":"one"}`)) + "." + parts[1] + ".", malformed},
		"the public key as a MAC": {signWith(t, jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: public, KeyID: x.id}}, token("node-1")), malformed},
		"no key named":            {signWith(t, jose.SigningKey{Algorithm: x.alg, Key: x.key}, token("node-1")), malformed},
		"claims changed":          {parts[0] + "." + b64(changed) + "." + parts[2], wrongSignature},
		"another's key":           {impostor.sign(t, token("node-1")), wrongSignature},
		"a key it brings itself":  {embeddedToken, wrongSignature},
		"a key nobody knows":      {stranger.sign(t, token("node-1")), wrongSignature},
		"another issuer":          {signed(func(c map[string]any) { c["iss"] = "https://elsewhere" }), wrongIssuer},
		"for the api server":      {signed(func(c map[string]any) { c["aud"] = []string{issuer} }), wrongAudience},
		"for nobody":              {signed(func(c map[string]any) { delete(c, "aud") }), wrongAudience},
		"expired":                 {signed(func(c map[string]any) { c["exp"] = time.Now().Add(-time.Second).Unix() }), expired},
		"not yet":                 {signed(func(c map[string]any) { c["nbf"] = time.Now().Add(time.Minute).Unix() }), expired},
		"for ever":                {signed(func(c map[string]any) { delete(c, "exp") }), malformed},
		"another account":         {signed(func(c map[string]any) { become(c, "gopprof", "default") }), wrongAccount},
		"of another namespace":    {signed(func(c map[string]any) { become(c, "shop", "gopprof-agent") }), wrongAccount},
		"a user":                  {signed(func(c map[string]any) { c["sub"] = "admin" }), malformed},
		"two minds":               {signed(func(c map[string]any) { c["sub"] = "system:serviceaccount:shop:web" }), malformed},
		"claims of another kind":  {bound("namespace", 7), malformed},
		"no node":                 {bound("node", nil), noNode},
		"no pod":                  {bound("pod", nil), noNode},
	}
}

func become(c map[string]any, namespace, name string) {
	c["sub"] = accountPrefix + namespace + ":" + name
	k := c["kubernetes.io"].(map[string]any)
	k["namespace"], k["serviceaccount"] = namespace, map[string]any{"name": name}
}

// TestRefused: both ways of judging refuse the same, if not with the same words.
func TestRefused(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		x := newSigner(t, "one", jose.ES256)
		s := startAPIServer(t, x)
		s.set(func(s *apiServer) { s.hidesKeys = hidden })
		v, _ := newTestVerifier(t, s)
		core, logs := observer.New(zap.DebugLevel)
		v.log = zap.New(core)
		for name, tc := range hostile(t, x) {
			_, _, _, err := v.VerifyAgent(t.Context(), tc.token)
			if got := resultOf(err); !hidden && got != tc.want {
				t.Errorf("%s, keys hidden %v: %s (%v), want %s", name, hidden, got, err, tc.want)
			}
			if !errors.Is(err, ErrRefused) || tc.token != "" && strings.Contains(err.Error(), tc.token) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := v.counted(accepted); n != 0 {
			t.Errorf("%d accepted", n)
		}
		if n := logs.Len(); n == 0 || n > 8 { // one of each kind
			t.Errorf("%d lines", n)
		}
		if _, _, _, err := v.VerifyAgent(t.Context(), x.sign(t, token("node-1"))); err != nil {
			t.Errorf("keys hidden %v: %v", hidden, err)
		}
	}
}

// TestKeysAreRotated: a new key is asked for when it is first seen, a withdrawn one is
// forgotten, and whoever invents keys does not make us ask for each.
func TestKeysAreRotated(t *testing.T) {
	one, two, stranger := newSigner(t, "one", jose.ES256), newSigner(t, "two", jose.ES256), newSigner(t, "stranger", jose.ES256)
	s := startAPIServer(t, one)
	v, c := newTestVerifier(t, s)
	of := func(x signer) result {
		_, err := v.Verify(t.Context(), x.sign(t, token("node-1")))
		return resultOf(err)
	}
	if of(one) != accepted || of(two) != wrongSignature {
		t.Fatal("the first key")
	}
	s.set(func(s *apiServer) { s.signers = []signer{two} })
	for range 100 {
		of(stranger)
	}
	if n := s.keyFetches.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	c.forward(unknownEvery)
	if got := of(two); got != accepted {
		t.Errorf("the new key: %s", got)
	}
	if got := of(one); got != wrongSignature {
		t.Errorf("the withdrawn key: %s", got)
	}
	if n := s.keyFetches.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// TestAPIServerAway: whoever is known stays known; what nobody can tell is no refusal.
func TestAPIServerAway(t *testing.T) {
	one, two := newSigner(t, "one", jose.ES256), newSigner(t, "two", jose.ES256)
	s := startAPIServer(t, one)
	v, c := newTestVerifier(t, s)
	s.set(func(s *apiServer) { s.down = true })
	if _, err := v.Verify(t.Context(), one.sign(t, token("a"))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("away from the start: %v", err)
	}
	s.set(func(s *apiServer) { s.down = false })
	c.forward(failedEvery)
	if _, err := v.Verify(t.Context(), one.sign(t, token("a"))); err != nil {
		t.Errorf("back: %v", err)
	}
	s.set(func(s *apiServer) { s.down = true })
	c.forward(30 * time.Minute)
	if _, err := v.Verify(t.Context(), one.sign(t, token("a"))); err != nil {
		t.Errorf("away again: %v", err)
	}
	if _, err := v.Verify(t.Context(), two.sign(t, token("a"))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a key of which nobody can tell: %v", err)
	}
}

// TestReviewBelievesNoClaim: the API server may know tokens of others than itself, and
// their claims may say anything.
func TestReviewBelievesNoClaim(t *testing.T) {
	foreign := newSigner(t, "foreign", jose.ES256)
	s := startAPIServer(t)
	v, _ := newTestVerifier(t, s)
	for user, want := range map[string]result{
		"alice":                                       wrongAccount,
		"system:serviceaccount:gopprof":               wrongAccount,
		"system:serviceaccount:shop:web":              wrongAccount,
		"system:serviceaccount:gopprof:gopprof-agent": noNode,
		"system:node:node-1":                          wrongAccount,
	} {
		s.set(func(s *apiServer) { s.user = user })
		if _, _, _, err := v.VerifyAgent(t.Context(), foreign.sign(t, token("node-1"))); resultOf(err) != want {
			t.Errorf("%s: %v", user, err)
		}
	}
}

// TestReviewedOnce: a token that is brought again is not reviewed again, for a while; also
// when nobody waited for the answer.
func TestReviewedOnce(t *testing.T) {
	x := newSigner(t, "one", jose.ES256)
	s := startAPIServer(t, x)
	s.set(func(s *apiServer) { s.hidesKeys = true })
	v, c := newTestVerifier(t, s)
	secret := x.sign(t, token("node-1"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(gone, secret); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody waits: %v", err)
	}
	poll.Until(t, "the answer is there", func() bool {
		_, ok := v.reviews.recall(sha256.Sum256([]byte(secret)))
		return ok
	})
	for range 10 {
		if id, err := v.Verify(t.Context(), secret); err != nil || id.Node != "node-1" || id.Expiry.IsZero() {
			t.Errorf("%+v, %v", id, err)
		}
	}
	if n := s.reviews.Load(); n != 1 {
		t.Errorf("%d reviews", n)
	}
	c.forward(reviewedFor)
	if _, err := v.Verify(t.Context(), secret); err != nil || s.reviews.Load() != 2 {
		t.Errorf("later: %v, %d reviews", err, s.reviews.Load())
	}
	c.forward(2 * time.Hour)
	if _, err := v.Verify(t.Context(), secret); resultOf(err) != expired {
		t.Errorf("at its end: %v", err)
	}
}

func TestConfiguredIssuers(t *testing.T) {
	x := newSigner(t, "one", jose.ES256)
	s := startAPIServer(t, x)
	c := DefaultConfig()
	c.Issuers = []string{"https://old", "https://new"}
	v, err := NewVerifier(c, "prod", s.config(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for iss, want := range map[string]result{"https://old": accepted, "https://new": accepted, issuer: wrongIssuer} {
		claims := token("a")
		claims["iss"] = iss
		if _, err := v.Verify(t.Context(), x.sign(t, claims)); resultOf(err) != want {
			t.Errorf("%s: %v", iss, err)
		}
	}
}

// TestRunAsksByItself: the keys are there before the first agent comes.
func TestRunAsksByItself(t *testing.T) {
	s := startAPIServer(t, newSigner(t, "one", jose.ES256))
	v, _ := newTestVerifier(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	for deadline := time.Now().Add(30 * time.Second); v.keys.current() == nil; {
		if time.Now().After(deadline) {
			t.Fatal("no keys")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	type checked interface {
		Check(report func(key, problem string))
	}
	cases := map[string]struct {
		c    checked
		want []string
	}{
		"default":      {DefaultConfig(), nil},
		"nothing":      {Config{Issuers: []string{""}}, []string{"service_account", "audience", "issuers", "reviews_per_second", "timeout"}},
		"no namespace": {Config{ServiceAccount: "agent", Audience: "a", ReviewsPerSecond: 1, Timeout: time.Second}, []string{"service_account"}},
		"no map":       {PublishConfig{}, nil},
		"map":          {PublishConfig{ConfigMap: "gopprof/gopprof-ca", File: "/x"}, nil},
		"a file only":  {PublishConfig{File: "/x"}, []string{"file"}},
		"a path":       {PublishConfig{ConfigMap: "gopprof/../x"}, []string{"config_map"}},
		"in cluster":   {ServerConfig{}, nil},
		"elsewhere":    {ServerConfig{URL: "https://10.0.0.1:6443", TokenFile: "/t"}, nil},
		"no tls":       {ServerConfig{URL: "http://10.0.0.1"}, []string{"url"}},
		"no url":       {ServerConfig{TokenFile: "/t"}, []string{"url"}},
	}
	for name, tc := range cases {
		var got []string
		tc.c.Check(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// FuzzVerify: whatever is brought, it is refused.
func FuzzVerify(f *testing.F) {
	x := newSigner(f, "one", jose.ES256)
	good := x.sign(f, token("node-1"))
	f.Add(good[:len(good)-1])
	f.Add("a.b.c")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"one","crit":["x"]}`)) + ".e30.AA")
	v, _ := newTestVerifier(f, startAPIServer(f, x))
	f.Fuzz(func(t *testing.T, s string) {
		if s == good {
			return
		}
		if id, err := v.Verify(t.Context(), s); err == nil && (id.Account() != "gopprof/gopprof-agent" || id.Node != "node-1") {
			t.Fatalf("took %q as %+v", s, id)
		}
	})
}

// FuzzKeys: whatever the API server answers, there are keys and an issuer, or an error.
func FuzzKeys(f *testing.F) {
	x := newSigner(f, "one", jose.ES256)
	good, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: x.key.Public(), KeyID: "one", Algorithm: string(jose.ES256), Use: "sig"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, []byte(`{"issuer":"https://kubernetes.default.svc"}`))
	f.Add(good, []byte(`{"issuer":""}`))
	f.Add([]byte(`{"keys":[]}`), []byte(`{}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"one","n":"AA","e":"AQAB"},{"kty":"oct","kid":"one","k":"AA"},{"kty":"EC","crv":"P-256","x":"","y":""}]}`), []byte(`null`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","x5c":["AA=="],"x5u":"http://evil.example/"}]}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, keys, about []byte) {
		k := &keyring{get: func(_ context.Context, path string) ([]byte, error) {
			if path == "/openid/v1/jwks" {
				return keys, nil
			}
			return about, nil
		}}
		r, err := k.fetch(t.Context())
		if err != nil {
			return
		}
		if len(r.keys.Keys) == 0 || len(r.issuers) != 1 || r.issuers[0] == "" {
			t.Errorf("took %+v", r)
		}
	})
}
