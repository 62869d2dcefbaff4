package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	authz "k8s.io/api/authorization/v1"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/test/poll"
)

func newTestCallers(t *testing.T, s *apiServer) (*Callers, *clock) {
	t.Helper()
	cfg := DefaultCallersConfig()
	cfg.ReviewsPerSecond = 10_000
	k, err := NewCallers(cfg, "prod", s.config(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{}
	k.now = c.now
	return k, c
}

func (k *Callers) counted(sort, result string) int64 {
	return int64(testutil.ToFloat64(k.reviews.WithLabelValues(sort, result)))
}

// given allows what stands in a list, "USER VERB RESOURCE NAMESPACE" each.
func given(rights ...string) func(authz.SubjectAccessReviewSpec) authz.SubjectAccessReviewStatus {
	return func(s authz.SubjectAccessReviewSpec) authz.SubjectAccessReviewStatus {
		a := s.ResourceAttributes
		if a == nil || a.Group != "gopprof.io" || a.Version != "v1" || a.Name != "" || a.Subresource != "" || s.NonResourceAttributes != nil {
			return authz.SubjectAccessReviewStatus{EvaluationError: "not what RBAC is given on"}
		}
		return authz.SubjectAccessReviewStatus{Allowed: slices.Contains(rights, fmt.Sprintf("%s %s %s %q", s.User, a.Verb, a.Resource, a.Namespace))}
	}
}

// TestRights is the table of verbs: each is one right of Kubernetes, in one namespace or in
// all.
func TestRights(t *testing.T) {
	s := startAPIServer(t)
	s.may = given(`viewer get reports "shop"`, `profiler create captures "shop"`, `admin get reports ""`, `admin create captures ""`, `admin update pauses ""`, `odd update pauses "shop"`)
	k, _ := newTestCallers(t, s)
	yes := map[string]bool{
		"viewer view shop": true, "profiler profile shop": true, "odd control shop": true,
		// What is held in all namespaces, the API server itself says of each.
		"admin view ": true, "admin profile ": true, "admin control ": true,
	}
	for _, user := range []string{"nobody", "viewer", "profiler", "admin", "odd"} {
		rights := k.Rights(auth.User{Name: user})
		for _, verb := range []auth.Verb{auth.View, auth.Profile, auth.Control, "another"} {
			for _, namespace := range []string{"shop", "bank", auth.All} {
				key := fmt.Sprintf("%s %s %s", user, verb, namespace)
				if may, err := rights.May(t.Context(), verb, namespace); err != nil || may != yes[key] {
					t.Errorf("%s: %t, %v", key, may, err)
				}
			}
		}
	}
}

// TestTheWholeUserIsTold: groups and extra decide too, and two users of one name are two.
func TestTheWholeUserIsTold(t *testing.T) {
	s := startAPIServer(t)
	var got authz.SubjectAccessReviewSpec
	s.may = func(spec authz.SubjectAccessReviewSpec) authz.SubjectAccessReviewStatus {
		got = spec
		return authz.SubjectAccessReviewStatus{Allowed: slices.Contains(spec.Groups, "dev")}
	}
	k, _ := newTestCallers(t, s)
	ada := auth.User{Name: "ada", UID: "u1", Groups: []string{"dev", "ops"}, Extra: map[string][]string{"scopes": {"read"}}}
	if may, err := k.Rights(ada).May(t.Context(), auth.View, "shop"); err != nil || !may {
		t.Errorf("ada: %t, %v", may, err)
	}
	if got.User != "ada" || got.UID != "u1" || !reflect.DeepEqual(got.Groups, ada.Groups) || !reflect.DeepEqual(got.Extra, map[string]authz.ExtraValue{"scopes": {"read"}}) {
		t.Errorf("asked about %+v", got)
	}
	ada.Groups = []string{"ops"}
	if may, err := k.Rights(ada).May(t.Context(), auth.View, "shop"); err != nil || may {
		t.Errorf("ada without her group: %t, %v", may, err)
	}
	s.set(func(s *apiServer) {
		s.may = func(authz.SubjectAccessReviewSpec) authz.SubjectAccessReviewStatus {
			return authz.SubjectAccessReviewStatus{Allowed: true, Denied: true}
		}
	})
	if may, err := k.Rights(auth.User{Name: "denied"}).May(t.Context(), auth.View, "shop"); err != nil || may {
		t.Errorf("allowed and denied: %t, %v", may, err)
	}
}

func TestRightsAreRememberedForSeconds(t *testing.T) {
	s := startAPIServer(t)
	s.may = given(`ada get reports "shop"`)
	k, clock := newTestCallers(t, s)
	rights := k.Rights(auth.User{Name: "ada"})
	check := func(verb auth.Verb, want bool, asked int64) {
		t.Helper()
		if may, err := rights.May(t.Context(), verb, "shop"); err != nil || may != want || s.accesses.Load() != asked {
			t.Errorf("%s: %t, %v; asked %d times, want %d", verb, may, err, s.accesses.Load(), asked)
		}
	}
	check(auth.View, true, 1)
	check(auth.Profile, false, 2)
	s.set(func(s *apiServer) { s.may = given(`ada create captures "shop"`) })
	check(auth.View, true, 2)
	check(auth.Profile, false, 2)
	clock.forward(noFor)
	check(auth.View, true, 2)
	check(auth.Profile, true, 3)
	clock.forward(yesFor - noFor)
	check(auth.View, false, 4)
}

// TestNobodyMayWhileNobodyCanSay: the API server's silence is an error, and no answer to
// keep.
func TestNobodyMayWhileNobodyCanSay(t *testing.T) {
	s := startAPIServer(t)
	s.may = given(`ada get reports "shop"`)
	k, _ := newTestCallers(t, s)
	rights := k.Rights(auth.User{Name: "ada"})
	s.set(func(s *apiServer) { s.down = true })
	if may, err := rights.May(t.Context(), auth.View, "shop"); !errors.Is(err, ErrUnavailable) || may {
		t.Errorf("away: %t, %v", may, err)
	}
	if c, ok, err := k.Find(t.Context(), "x"); !errors.Is(err, ErrUnavailable) || ok || c.Rights != nil {
		t.Errorf("away: %+v, %t, %v", c, ok, err)
	}
	s.set(func(s *apiServer) { s.down = false })
	if may, err := rights.May(t.Context(), auth.View, "shop"); err != nil || !may {
		t.Errorf("back: %t, %v", may, err)
	}
	if k.counted(sortAccess, "failed") != 1 || k.counted(sortAccess, "yes") != 1 || k.counted(sortToken, "failed") != 1 {
		t.Error("not counted")
	}
}

func TestFind(t *testing.T) {
	x := newSigner(t, "one", jose.ES256)
	s := startAPIServer(t, x)
	s.may = given(`system:serviceaccount:gopprof:gopprof-agent get reports "shop"`)
	k, clock := newTestCallers(t, s)
	mine := x.sign(t, token("node-1"))
	changed := func(key string, value any) string {
		c := token("node-1")
		c[key] = value
		return x.sign(t, c)
	}
	caller, ok, err := k.Find(t.Context(), mine)
	if err != nil || !ok || caller.Name != "system:serviceaccount:gopprof:gopprof-agent" {
		t.Fatalf("%+v, %t, %v", caller, ok, err)
	}
	for namespace, want := range map[string]bool{"shop": true, "bank": false, auth.All: false} {
		if may, err := caller.May(t.Context(), auth.View, namespace); err != nil || may != want {
			t.Errorf("in %q: %t, %v", namespace, may, err)
		}
	}
	asked := s.reviews.Load()
	for name, token := range map[string]string{
		"no token": "x", "another audience": changed("aud", []string{"https://kubernetes.default.svc"}), "expired": changed("exp", time.Now().Add(-time.Hour).Unix()),
		"a stranger's": newSigner(t, "one", jose.ES256).sign(t, token("node-1")),
	} {
		for range 2 {
			if c, ok, err := k.Find(t.Context(), token); err != nil || ok || c.Rights != nil {
				t.Errorf("%s: %+v, %t, %v", name, c, ok, err)
			}
		}
	}
	if got := s.reviews.Load() - asked; got != 4 {
		t.Errorf("asked %d times about four tokens", got)
	}
	if c, ok, err := k.Find(t.Context(), strings.Repeat("x", maxTokenBytes+1)); err != nil || ok || s.reviews.Load()-asked != 4 {
		t.Errorf("a huge one: %+v, %t, %v", c, ok, err)
	}
	s.set(func(s *apiServer) { s.signers = nil }) // the account is deleted
	if _, ok, err := k.Find(t.Context(), mine); err != nil || !ok {
		t.Errorf("a moment later: %t, %v", ok, err)
	}
	clock.forward(yesFor)
	if _, ok, err := k.Find(t.Context(), mine); err != nil || ok {
		t.Errorf("ten seconds later: %t, %v", ok, err)
	}
}

// TestStrangersKeepNobodyOutWhoWasKnown: whose token it is is asked again after seconds, and
// strangers may have taken all places by then.
func TestStrangersKeepNobodyOutWhoWasKnown(t *testing.T) {
	x := newSigner(t, "one", jose.ES256)
	s := startAPIServer(t, x)
	k, clock := newTestCallers(t, s)
	mine := x.sign(t, token("node-1"))
	if _, ok, err := k.Find(t.Context(), mine); err != nil || !ok {
		t.Fatalf("%t, %v", ok, err)
	}
	hold := make(chan struct{})
	s.set(func(s *apiServer) { s.hold = hold })
	done := make(chan error)
	for i := range maxAsked {
		go func() {
			_, _, err := k.Find(t.Context(), fmt.Sprint("made up ", i))
			done <- err
		}()
	}
	poll.Until(t, "all places are taken", func() bool { return s.reviews.Load() == 1+maxAsked })
	s.set(func(s *apiServer) { s.hold = nil })
	clock.forward(yesFor)
	if _, ok, err := k.Find(t.Context(), mine); err != nil || !ok || k.counted(sortKnown, "yes") != 1 {
		t.Errorf("known: %t, %v", ok, err)
	}
	clock.forward(knownFor)
	if _, ok, err := k.Find(t.Context(), mine); !errors.Is(err, ErrUnavailable) || ok {
		t.Errorf("known long ago: %t, %v", ok, err)
	}
	close(hold)
	for range maxAsked {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestStrangersCannotFloodTheAPIServer: only so many questions about tokens run at once,
// and rights of known users are asked for all the same.
func TestStrangersCannotFloodTheAPIServer(t *testing.T) {
	s := startAPIServer(t)
	s.may = given(`ada get reports "shop"`)
	s.hold = make(chan struct{})
	k, _ := newTestCallers(t, s)
	done := make(chan error)
	for i := range maxAsked {
		go func() {
			_, _, err := k.Find(t.Context(), fmt.Sprint("made up ", i))
			done <- err
		}()
	}
	poll.Until(t, "all places are taken", func() bool { return s.reviews.Load() == maxAsked })
	if _, ok, err := k.Find(t.Context(), "one more"); !errors.Is(err, ErrUnavailable) || ok || s.reviews.Load() != maxAsked || k.counted(sortToken, "busy") != 1 {
		t.Errorf("one more: %t, %v, %d reviews", ok, err, s.reviews.Load())
	}
	if may, err := k.Rights(auth.User{Name: "ada"}).May(t.Context(), auth.View, "shop"); err != nil || !may {
		t.Errorf("ada meanwhile: %t, %v", may, err)
	}
	close(s.hold)
	for range maxAsked {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestTake(t *testing.T) {
	places := make(chan struct{}, 1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if !take(ended, places, false) || take(t.Context(), places, false) || take(ended, places, true) {
		t.Error("one place is not one")
	}
	go func() { <-places }()
	if !take(t.Context(), places, true) {
		t.Error("did not wait")
	}
}

func TestKeptIsBounded(t *testing.T) {
	k, now := newKept[int, string](2), time.Now()
	k.put(1, "one", now, time.Second)
	k.put(2, "two", now, time.Minute)
	k.put(3, "three", now, time.Minute)
	if _, ok := k.get(3, now); ok || len(k.answers) != 2 {
		t.Errorf("%d answers, of 2", len(k.answers))
	}
	later := now.Add(time.Second)
	if _, ok := k.get(1, later); ok {
		t.Error("too old an answer")
	}
	k.put(3, "three", later, time.Minute)
	if got, ok := k.get(3, later); !ok || got != "three" || len(k.answers) != 2 {
		t.Errorf("%q, %t, %d answers", got, ok, len(k.answers))
	}
}

func TestCallersConfig(t *testing.T) {
	for want, c := range map[string]CallersConfig{
		"audience": {Audience: " ", Timeout: time.Second, ReviewsPerSecond: 1}, "timeout": {Audience: "a", ReviewsPerSecond: 1},
		"reviews_per_second": {Audience: "a", Timeout: time.Second}, "": DefaultCallersConfig(),
	} {
		var got []string
		c.Check(func(key, _ string) { got = append(got, key) })
		if strings.Join(got, " ") != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
}
