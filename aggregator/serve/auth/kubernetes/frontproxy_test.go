package kubernetes

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	ktest "k8s.io/client-go/testing"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
	corpus "github.com/gopprof/gopprof/test/hostile"
	"github.com/gopprof/gopprof/test/poll"
)

// written is what a real API server (1.36) writes; the certificate is some real one.
func written(ca string) map[string]string {
	return map[string]string{
		"client-ca-file":                     "-----BEGIN CERTIFICATE-----\nusers\n-----END CERTIFICATE-----\n",
		"requestheader-allowed-names":        `["front-proxy-client"]`,
		"requestheader-client-ca-file":       ca,
		"requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
		"requestheader-group-headers":        `["X-Remote-Group"]`,
		"requestheader-uid-headers":          `["X-Remote-Uid"]`,
		"requestheader-username-headers":     `["X-Remote-User"]`,
	}
}

func authenticationMap(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: meta.ObjectMeta{Namespace: "kube-system", Name: "extension-apiserver-authentication"}, Data: data}
}

func TestTrustOf(t *testing.T) {
	ca := string(startAPIServer(t).config().CAData)
	got, err := trustOf(authenticationMap(written(ca)))
	if err != nil {
		t.Fatal(err)
	}
	if got.Roots == nil || !reflect.DeepEqual(got.Names, []string{"front-proxy-client"}) || !reflect.DeepEqual(got.UserHeaders, []string{"X-Remote-User"}) ||
		!reflect.DeepEqual(got.UIDHeaders, []string{"X-Remote-Uid"}) || !reflect.DeepEqual(got.GroupHeaders, []string{"X-Remote-Group"}) || !reflect.DeepEqual(got.ExtraPrefixes, []string{"X-Remote-Extra-"}) {
		t.Errorf("%+v", got)
	}
	anyName := written(ca)
	anyName["requestheader-allowed-names"] = "[]"
	delete(anyName, "requestheader-uid-headers")
	if got, err := trustOf(authenticationMap(anyName)); err != nil || got.Roots == nil || len(got.Names) != 0 {
		t.Errorf("any name: %+v, %v", got, err)
	}
	for key, value := range map[string]string{
		"requestheader-client-ca-file": "", "requestheader-allowed-names": `front-proxy-client`, "requestheader-username-headers": "[]",
		"requestheader-group-headers": `{"a":1}`, "requestheader-extra-headers-prefix": `["X-Remote-Extra-",""]`,
	} {
		wrong := written(ca)
		wrong[key] = value
		if got, err := trustOf(authenticationMap(wrong)); err == nil || got.Roots != nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s %q: %+v, %v", key, value, got, err)
		}
	}
	wrong := written("-----BEGIN CERTIFICATE-----\nwhat\n-----END CERTIFICATE-----\n")
	if got, err := trustOf(authenticationMap(wrong)); err == nil || got.Roots != nil {
		t.Errorf("no certificate: %+v, %v", got, err)
	}
}

// FuzzTrust: whatever the ConfigMap holds, somebody is believed by a certificate and in
// headers that have names, or nobody, and it is said which key is wrong.
func FuzzTrust(f *testing.F) {
	good := written(string(startAPIServer(f).config().CAData))
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(good)), func(key string) bool { return key == "client-ca-file" })
	seed := func(change map[string]string) {
		m := maps.Clone(good)
		maps.Copy(m, change)
		f.Add(m[keys[0]], m[keys[1]], m[keys[2]], m[keys[3]], m[keys[4]], m[keys[5]])
	}
	seed(nil)
	for _, key := range keys {
		for _, value := range []string{"", "null", "[]", `[""]`, `[null]`, `["a",1]`, `{}`, `["X-Remote-User"`, good["requestheader-client-ca-file"][:200], "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
			seed(map[string]string{key: value})
		}
	}
	for _, name := range corpus.Names() {
		quoted, err := json.Marshal([]string{name})
		if err != nil {
			f.Fatal(err)
		}
		for _, key := range keys {
			seed(map[string]string{key: string(quoted)})
			seed(map[string]string{key: name})
		}
	}
	f.Fuzz(func(t *testing.T, a, b, c, d, e, g string) {
		data := map[string]string{}
		for i, value := range []string{a, b, c, d, e, g} {
			data[keys[i]] = value
		}
		trust, err := trustOf(authenticationMap(data))
		if err != nil {
			if !reflect.DeepEqual(trust, auth.Trust{}) || !strings.Contains(err.Error(), "requestheader-") || len(err.Error()) > 300 {
				t.Errorf("%+v, %v", trust, err)
			}
			return
		}
		if trust.Roots == nil || trust.Roots.Equal(x509.NewCertPool()) || len(trust.UserHeaders) == 0 {
			t.Errorf("believes %+v", trust)
		}
		for _, words := range [][]string{trust.Names, trust.UserHeaders, trust.UIDHeaders, trust.GroupHeaders, trust.ExtraPrefixes} {
			if slices.Contains(words, "") {
				t.Errorf("believes %+v", trust)
			}
		}
	})
}

// TestFrontProxyIsLearnt: nobody is believed until the ConfigMap could be read, and what
// was read stays when it cannot be any more.
func TestFrontProxyIsLearnt(t *testing.T) {
	c := fake.NewClientset(authenticationMap(written(string(startAPIServer(t).config().CAData))))
	var away atomic.Bool
	c.PrependReactor("get", "configmaps", func(ktest.Action) (bool, runtime.Object, error) { return away.Load(), nil, errors.New("away") })
	f := newFrontProxy(c.CoreV1(), zap.NewNop())
	away.Store(true)
	if err := f.read(t.Context()); err == nil || f.Trust().Roots != nil {
		t.Errorf("%v, %+v", err, f.Trust())
	}
	away.Store(false)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	poll.Until(t, "it is learnt", func() bool { return f.Trust().Roots != nil })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	away.Store(true)
	if err := f.read(t.Context()); err == nil || f.Trust().Roots == nil {
		t.Errorf("%v, %+v", err, f.Trust())
	}
}

// TestRegistrar: the APIService gets the certificates, and never stands without checking.
func TestRegistrar(t *testing.T) {
	s := startAPIServer(t)
	a := &authority{pem: certificate("one"), changed: make(chan struct{})}
	p, err := NewRegistrar(a.bundle, s.config(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	var patch struct {
		Spec map[string]any `json:"spec"`
	}
	if err := json.Unmarshal([]byte(s.patches[0]), &patch); err != nil {
		t.Fatal(err)
	}
	insecure, named := patch.Spec["insecureSkipTLSVerify"]
	var bundle struct{ Spec struct{ CABundle []byte } }
	if err := json.Unmarshal([]byte(s.patches[0]), &bundle); err != nil || string(bundle.Spec.CABundle) != string(certificate("one")) || insecure != nil || !named || len(patch.Spec) != 2 {
		t.Errorf("%v, patched %s", err, s.patches[0])
	}
	s.set(func(s *apiServer) { s.down = true })
	if _, err := p.publish(t.Context()); err == nil || !strings.Contains(err.Error(), `apiservice "v1.gopprof.io"`) || !strings.Contains(err.Error(), "503") {
		t.Errorf("away: %v", err)
	}
}
