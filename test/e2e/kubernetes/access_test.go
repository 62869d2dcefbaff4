package kubernetes

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// people are who comes, each as a user with a certificate and as a service account, with
// what they may do in the shop. Names are those of the accounts in gopprof-e2e.
var people = []struct {
	name string
	role string // ClusterRole
	in   string // namespace in which it is bound; empty: in all
	may  []string
}{
	{"nobody", "", "", nil},
	{"elsewhere", "admin", "gopprof-e2e", nil},
	{"viewer", "view", shop, []string{"view"}},
	{"profiler", "edit", shop, []string{"view", "profile"}},
	{"pprof", "gopprof-profiler", shop, []string{"view", "profile"}},
	{"boss", "gopprof-admin", "", []string{"view", "profile", "pause"}},
}

// deeds are what is tried, one for each verb and way. What may be done does not succeed
// everywhere: nothing is profiled here.
var deeds = []struct {
	verb, way, method, path, body string
}{
	{"view", "apiserver", http.MethodGet, "/apis/gopprof.io/v1/namespaces/" + shop + "/reports/REPORT", ""},
	{"view", "apiserver", http.MethodGet, "/apis/gopprof.io/v1/namespaces/" + shop + "/reports", ""},
	{"view", "apiserver", http.MethodGet, "/apis/gopprof.io/v1/namespaces/" + shop + "/targets", ""},
	{"view", "apiserver", http.MethodGet, "/apis/gopprof.io/v1/namespaces/" + shop + "/gateway/v1/proxy/reports/REPORT", ""},
	{"profile", "apiserver", http.MethodGet, "/apis/gopprof.io/v1/namespaces/" + shop + "/pods/none-of-this-name/proxy/debug/pprof/goroutine", ""},
	{"profile", "apiserver", http.MethodPost, "/apis/gopprof.io/v1/namespaces/" + shop + "/gateway/v1/proxy/captures", `{"namespace":"` + shop + `","pod":"none-of-this-name"}`},
	{"pause", "apiserver", http.MethodPut, "/apis/gopprof.io/v1/gateway/v1/proxy/pause", `{"paused":false}`},
	{"view", "direct", http.MethodGet, "/api/v1/reports/REPORT", ""},
	{"profile", "direct", http.MethodPost, "/api/v1/captures", `{"namespace":"` + shop + `","pod":"none-of-this-name"}`},
	{"pause", "direct", http.MethodPut, "/api/v1/pause", `{"paused":false}`},
}

// credential is how somebody proves who he is.
type credential struct {
	name        string
	may         []string
	certificate *tls.Certificate
	token       string // for the API server
	ours        string // for gopprof itself: of its audience
}

// shortLived is made at the beginning, so that it has expired when access comes to it:
// nothing here lives for less than ten minutes.
func (c *cluster) shortLived(t *testing.T) {
	ctx := within(t, time.Minute)
	for _, p := range people {
		run(ctx, t, "-n", "gopprof-e2e", "create", "serviceaccount", p.name)
	}
	c.expiring = []credential{
		{name: "expired certificate", certificate: certificate(ctx, t, "boss")},
		{name: "expired token", token: apiToken(ctx, t, "boss", "10m"), ours: token(ctx, t, "gopprof-e2e", "boss")},
	}
	c.expired = time.Now().Add(11*time.Minute + 30*time.Second) // the API server lets clocks differ by a minute
}

// access is the table of rights: each verb for each who comes, by each way in.
func (c *cluster) access(t *testing.T) {
	ctx := within(t, 14*time.Minute)
	found, err := c.reports(ctx, "?namespace="+shop+"&limit=200")
	must(t, err)
	if len(found) == 0 {
		t.Fatal("there is no report to look at")
	}
	bind(ctx, t)
	callers := []credential{{name: "anonymous"}, withdrawn(ctx, t)}
	for _, p := range people {
		callers = append(callers,
			credential{name: p.name + " by certificate", may: p.may, certificate: certificate(ctx, t, p.name)},
			credential{name: p.name + " as a service account", may: p.may, token: apiToken(ctx, t, p.name, "1h"), ours: token(ctx, t, "gopprof-e2e", p.name)})
	}
	for _, who := range callers {
		c.try(ctx, t, who, found[0].ID)
	}
	t.Run("front proxy", c.forged)
	t.Run("kubectl", c.tables)
	poll(ctx, t, func() error {
		if left := time.Until(c.expired); left > 0 {
			return fmt.Errorf("%s until it has expired", left)
		}
		return nil
	})
	for _, who := range c.expiring {
		c.try(ctx, t, who, found[0].ID)
	}
}

// bind gives everybody his role.
func bind(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, p := range people {
		name := "gopprof-e2e-" + p.name
		subjects := []string{"--user=" + name, "--serviceaccount=gopprof-e2e:" + p.name}
		switch {
		case p.role == "":
		case p.in == "":
			run(ctx, t, append([]string{"create", "clusterrolebinding", name, "--clusterrole=" + p.role}, subjects...)...)
			cleanup(t, "delete", "clusterrolebinding", name, "--ignore-not-found")
		default:
			run(ctx, t, append([]string{"-n", p.in, "create", "rolebinding", name, "--clusterrole=" + p.role}, subjects...)...)
			cleanup(t, "-n", p.in, "delete", "rolebinding", name, "--ignore-not-found")
		}
	}
}

// try does every deed. A caller whom nobody knows is refused as such, and so is who may
// not; both ways in answer alike.
func (c *cluster) try(ctx context.Context, t *testing.T, who credential, report string) {
	t.Helper()
	for _, d := range deeds {
		if d.way == "direct" && who.certificate != nil && who.ours == "" {
			continue // gopprof itself knows no certificates
		}
		status, body := c.deed(ctx, t, who, d.way, d.method, strings.ReplaceAll(d.path, "REPORT", report), d.body)
		want := strings.Contains(" "+strings.Join(who.may, " ")+" ", " "+d.verb+" ")
		// To gopprof itself what may not be seen is not there. A pod of no such name is not there
		// either, for whoever may profile.
		refused := status == http.StatusUnauthorized || status == http.StatusForbidden ||
			d.way == "direct" && d.verb == "view" && status == http.StatusNotFound
		if refused == want || status >= 500 {
			t.Errorf("%s may %s (%s %s): %d %.300s; want allowed %t", who.name, d.verb, d.method, d.path, status, body, want)
		}
	}
}

func (c *cluster) deed(ctx context.Context, t *testing.T, who credential, way, method, path, body string) (int, string) {
	t.Helper()
	if way == "direct" {
		_, err := c.api.as(ctx, who.ours, method, path, json.RawMessage(body))
		var refused *statusError
		switch {
		case err == nil:
			return http.StatusOK, ""
		case errors.As(err, &refused):
			return refused.status, refused.text
		}
		t.Fatal(err)
	}
	server, trusted := apiServer(ctx, t)
	return send(ctx, t, clientOf(trusted, "", who.certificate), method, server+path, who.token, body, nil)
}

func clientOf(trusted *x509.CertPool, name string, certificate *tls.Certificate) *http.Client {
	c := &tls.Config{RootCAs: trusted, ServerName: name, MinVersion: tls.VersionTLS12}
	if certificate != nil {
		// Shown whatever authorities the server names.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
}

func send(ctx context.Context, t *testing.T, client *http.Client, method, url, token, body string, header http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	must(t, err)
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(r)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	must(t, err)
	return answer.StatusCode, string(text)
}

// apiServer is where KUBECONFIG leads, and whom to trust there.
func apiServer(ctx context.Context, t *testing.T) (string, *x509.CertPool) {
	t.Helper()
	var c struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
	}
	must(t, json.Unmarshal([]byte(run(ctx, t, "config", "view", "--raw", "--minify", "--flatten", "-o", "json")), &c))
	if len(c.Clusters) != 1 {
		t.Fatalf("KUBECONFIG names %d clusters", len(c.Clusters))
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(c.Clusters[0].Cluster.CA)
	return c.Clusters[0].Cluster.Server, trusted
}

// certificate has the cluster sign a client's certificate, of ten minutes.
func certificate(ctx context.Context, t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "gopprof-e2e-" + name}}, key)
	must(t, err)
	csr := fmt.Sprintf("gopprof-e2e-%s-%d", name, time.Now().UnixNano())
	object, err := json.Marshal(map[string]any{
		"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": map[string]string{"name": csr},
		"spec": map[string]any{
			"request": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}), "signerName": "kubernetes.io/kube-apiserver-client",
			"expirationSeconds": 600, "usages": []string{"client auth"},
		},
	})
	must(t, err)
	_, err = kubectlWith(ctx, string(object), "create", "-f", "-")
	must(t, err)
	cleanup(t, "delete", "csr", csr, "--ignore-not-found")
	run(ctx, t, "certificate", "approve", csr)
	var signed []byte
	poll(ctx, t, func() error {
		if signed, err = base64.StdEncoding.DecodeString(run(ctx, t, "get", "csr", csr, "-o", "jsonpath={.status.certificate}")); err == nil && len(signed) == 0 {
			err = errors.New("not signed yet")
		}
		return err
	})
	block, _ := pem.Decode(signed)
	if block == nil {
		t.Fatalf("no certificate: %q", signed)
	}
	return &tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
}

// apiToken is a service account's token for the API server.
func apiToken(ctx context.Context, t *testing.T, account, lifetime string) string {
	t.Helper()
	return strings.TrimSpace(run(ctx, t, "-n", "gopprof-e2e", "create", "token", account, "--duration="+lifetime))
}

// withdrawn is somebody's whose tokens were bound to what is no longer there.
func withdrawn(ctx context.Context, t *testing.T) credential {
	t.Helper()
	const secret = "withdrawn"
	run(ctx, t, "-n", "gopprof-e2e", "create", "secret", "generic", secret)
	bound := []string{"-n", "gopprof-e2e", "create", "token", "boss", "--bound-object-kind=Secret", "--bound-object-name=" + secret}
	who := credential{
		name: "withdrawn", token: strings.TrimSpace(run(ctx, t, bound...)),
		ours: strings.TrimSpace(run(ctx, t, append(bound, "--audience=gopprof")...)),
	}
	run(ctx, t, "-n", "gopprof-e2e", "delete", "secret", secret)
	server, trusted := apiServer(ctx, t)
	poll(ctx, t, func() error { // the API server believes tokens for some seconds
		if status, _ := send(ctx, t, clientOf(trusted, "", nil), http.MethodGet, server+"/version", who.token, "", nil); status != http.StatusUnauthorized {
			return fmt.Errorf("the API server answers %d", status)
		}
		return nil
	})
	return who
}

// forged comes to the aggregator past the API server, in whoever's name it likes.
func (c *cluster) forged(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	bundle, err := base64.StdEncoding.DecodeString(run(ctx, t, "get", "apiservice", "v1.gopprof.io", "-o", "jsonpath={.spec.caBundle}"))
	must(t, err)
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(bundle) {
		t.Fatalf("the APIService trusts %q", bundle)
	}
	header := http.Header{"X-Remote-User": {"gopprof-e2e-boss"}, "X-Remote-Group": {"system:masters"}}
	for name, shown := range map[string]*tls.Certificate{"no certificate": nil, "a user's certificate": certificate(ctx, t, "boss")} {
		for _, path := range []string{"/apis/gopprof.io/v1", "/apis/gopprof.io/v1/namespaces/" + shop + "/reports", "/apis/gopprof.io/v1/gateway/v1/proxy/reports", "/api/v1/reports"} {
			f, err := startForward(ctx, "gopprof", "pod/gopprof-aggregator-0", 10250)
			must(t, err)
			status, body := send(ctx, t, clientOf(trusted, "gopprof-aggregator.gopprof.svc", shown), http.MethodGet, "https://"+f.addr+path, "", "", header)
			f.stop()
			if status != http.StatusUnauthorized || !strings.Contains(body, `"kind":"Status"`) {
				t.Errorf("%s, %s: %d %s", name, path, status, body)
			}
		}
	}
	// By way of the API server: it takes such headers away.
	server, theirs := apiServer(ctx, t)
	viewer := certificate(ctx, t, "viewer")
	if status, body := send(ctx, t, clientOf(theirs, "", viewer), http.MethodGet, server+"/apis/gopprof.io/v1/namespaces/"+shop+"/pods/x/proxy/debug/pprof/heap", "", "", header); status != http.StatusForbidden {
		t.Errorf("a viewer who says that he is another: %d %s", status, body)
	}
}

// tables looks at what a person sees with kubectl alone.
func (c *cluster) tables(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	for what, columns := range map[string]string{
		"reports.gopprof.io": "NAME WORKLOAD POD TRIGGER CAUSE AGE", "targets.gopprof.io": "NAME NODE STATE CPU MEMORY AGE",
	} {
		out := run(ctx, t, "-n", shop, "get", what)
		head, rows, _ := strings.Cut(out, "\n")
		if strings.Join(strings.Fields(head), " ") != columns || strings.TrimSpace(rows) == "" {
			t.Errorf("%s:\n%s", what, out)
		}
	}
	pod := pods(ctx, t, shop, "app=checkout")[0].Name
	profile := run(ctx, t, "get", "--raw", "/apis/gopprof.io/v1/namespaces/"+shop+"/pods/"+pod+"/proxy/debug/pprof/goroutine")
	if !bytes.HasPrefix([]byte(profile), []byte("\x1f\x8b")) {
		t.Errorf("%d bytes are no profile: %.100q", len(profile), profile)
	}
}
