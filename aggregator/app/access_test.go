package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	authn "k8s.io/api/authentication/v1"
	authz "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/gopprof/gopprof/test/poll"
)

// frontProxy is the API server as a client of the aggregated API, with what it tells of
// itself and of its users.
type frontProxy struct {
	cert tls.Certificate

	mu     sync.Mutex
	bundle []byte // of the APIService
}

// startFrontProxy lets a cluster know the user ada and the account ci, who may see shop.
func startFrontProxy(t *testing.T, s *apiServer) *frontProxy {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "front-proxy-client"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	f := &frontProxy{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
	configMap := object("ConfigMap", "extension-apiserver-authentication", "", nil).(map[string]any)
	configMap["data"] = map[string]string{
		"requestheader-client-ca-file":   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"requestheader-allowed-names":    `["front-proxy-client"]`,
		"requestheader-username-headers": `["X-Remote-User"]`, "requestheader-group-headers": `["X-Remote-Group"]`,
	}
	s.more["/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"] = func(*http.Request) any { return configMap }
	s.more["/apis/apiregistration.k8s.io/v1/apiservices/v1.gopprof.io"] = func(r *http.Request) any {
		var patch struct{ Spec struct{ CABundle []byte } }
		if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || r.Method != http.MethodPatch {
			t.Errorf("%s of the APIService: %v", r.Method, err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.bundle = patch.Spec.CABundle
		return map[string]any{}
	}
	s.more["/apis/authentication.k8s.io/v1/tokenreviews"] = func(r *http.Request) any {
		var x authn.TokenReview
		decode(t, r, &x)
		x.Status = authn.TokenReviewStatus{Authenticated: x.Spec.Token == "ci's", Audiences: x.Spec.Audiences, User: authn.UserInfo{Username: "ci"}}
		return x
	}
	s.more["/apis/authorization.k8s.io/v1/subjectaccessreviews"] = func(r *http.Request) any {
		var x authz.SubjectAccessReview
		decode(t, r, &x)
		a := x.Spec.ResourceAttributes
		x.Status.Allowed = (x.Spec.User == "ada" || x.Spec.User == "ci") && a.Resource == "reports" && a.Namespace == "shop"
		return x
	}
	return f
}

// decode reads what client-go sends: its own protobuf.
func decode(t *testing.T, r *http.Request, into runtime.Object) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, into); err != nil {
		t.Error(err)
	}
}

func (f *frontProxy) trusted() *x509.CertPool {
	f.mu.Lock()
	defer f.mu.Unlock()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(f.bundle) {
		return nil
	}
	return pool
}

func (f *frontProxy) get(t *testing.T, addr, path, user string, certs ...tls.Certificate) (int, string) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.trusted(), ServerName: "gopprof-aggregator.gopprof.svc", Certificates: certs}}
	defer transport.CloseIdleConnections()
	return ask(t, &http.Client{Transport: transport}, "https://"+addr+path, http.Header{"X-Remote-User": {user}})
}

func ask(t *testing.T, client *http.Client, url string, header http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// TestCallersOfACluster: the API server learns whom to trust and brings its users; service
// accounts come by themselves; what each may do is the cluster's word.
func TestCallersOfACluster(t *testing.T) {
	s := startAPIServer(t)
	f := startFrontProxy(t, s)
	a := runApp(t, loadText(t, s, strings.NewReplacer("DIR", s.dir, "URL", s.URL).Replace(`
status: {listen: "127.0.0.1:0"}
serve:
  listen: 127.0.0.1:0
  token_review: true
  api_service:
    listen: 127.0.0.1:0
    own_ca: {enabled: true, dir: DIR/service-ca, names: [gopprof-aggregator.gopprof.svc]}
store: {url: "file://DIR/reports?create_dir=true"}
embedded: {listen: "127.0.0.1:0", dir: DIR/nats, own_ca: {enabled: true, dir: DIR/ca, names: [127.0.0.1]}}
kubernetes:
  enabled: true
  cluster: prod
  server: {url: "URL", ca_file: DIR/api.crt, token_file: DIR/api.token}
`)))
	if got := expiries(t, a.reg); len(got) != 2 || time.Until(got["nats"]) < 80*24*time.Hour || time.Until(got["apiservice"]) < 80*24*time.Hour {
		t.Errorf("certificates end %v, want nats and apiservice in 90 days", got)
	}
	poll.Until(t, "the APIService has the authority", func() bool { return f.trusted() != nil })
	back := a.serve.APIServiceAddr()
	poll.Until(t, "the front proxy is known", func() bool {
		status, _ := f.get(t, back, "/apis/gopprof.io/v1", "ada", f.cert)
		return status == http.StatusOK
	})
	for path, want := range map[string]string{
		"/apis/gopprof.io/v1/namespaces/shop/reports":                  `"kind":"ReportList"`,
		"/apis/gopprof.io/v1/namespaces/shop/targets":                  `"kind":"TargetList"`,
		"/apis/gopprof.io/v1/namespaces/shop/gateway/v1/proxy/reports": `{"reports":[]}`,
	} {
		if status, body := f.get(t, back, path, "ada", f.cert); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if status, body := f.get(t, back, path, "ada"); status != http.StatusUnauthorized {
			t.Errorf("%s without the certificate: %d %s", path, status, body)
		}
	}
	const profile = "/apis/gopprof.io/v1/namespaces/shop/pods/web-0/proxy/debug/pprof/heap"
	if status, body := f.get(t, back, profile, "ada", f.cert); status != http.StatusForbidden || !strings.Contains(body, "may not profile") {
		t.Errorf("profiling without the right: %d %s", status, body)
	}
	for token, want := range map[string]int{"ci's": http.StatusOK, "a stranger's": http.StatusUnauthorized} {
		header := http.Header{"Authorization": {"Bearer " + token}}
		if status, body := ask(t, http.DefaultClient, "http://"+a.APIAddr()+"/api/v1/reports", header); status != want {
			t.Errorf("token %s: %d %s", token, status, body)
		}
	}
}
