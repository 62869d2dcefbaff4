package connect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// certificate makes one that signs itself, for the client "ann".
func certificate(t *testing.T) (cert *x509.Certificate, certPEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ann"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return cert, pemOf("CERTIFICATE", der), pemOf("EC PRIVATE KEY", keyDER)
}

// apiServer is a TLS server that asks for client certificates and tells who came.
func apiServer(t *testing.T) (url, caFile, dir string, seen *http.Request, cert, key string) {
	t.Helper()
	seen = &http.Request{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { *seen = *r }))
	client, cert, key := certificate(t)
	pool := x509.NewCertPool()
	pool.AddCert(client)
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	server.StartTLS()
	t.Cleanup(server.Close)
	dir = t.TempDir()
	caFile = filepath.Join(dir, "ca.pem")
	write(t, caFile, pemOf("CERTIFICATE", server.Certificate().Raw))
	return server.URL, caFile, dir, seen, cert, key
}

func TestKubeconfig(t *testing.T) {
	url, ca, dir, seen, cert, key := apiServer(t)
	write(t, filepath.Join(dir, "ann.pem"), cert)
	write(t, filepath.Join(dir, "ann.key"), key)
	kubeconfig := filepath.Join(dir, "config")
	write(t, kubeconfig, fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: by-certificate
clusters:
- {name: direct, cluster: {server: %[1]q, certificate-authority: %[2]q}}
- {name: behind, cluster: {server: "%[1]s/k8s/clusters/c1", certificate-authority: %[2]q}}
users:
- {name: ann, user: {client-certificate: ann.pem, client-key: ann.key}}
- {name: robot, user: {token: r2d2}}
contexts:
- {name: by-certificate, context: {cluster: direct, user: ann, namespace: shop}}
- {name: by-token, context: {cluster: behind, user: robot}}
`, url, ca))
	for name, c := range map[string]struct {
		o           Options
		namespace   string
		path, all   string
		common, who string
	}{
		"current context": {Options{}, "shop", "/apis/gopprof.io/v1/namespaces/shop/gateway/v1/proxy/reports/x", "/apis/gopprof.io/v1/gateway/v1/proxy/reports/x", "ann", ""},
		"by token":        {Options{Context: "by-token", Namespace: "bank"}, "bank", "/k8s/clusters/c1/apis/gopprof.io/v1/namespaces/bank/gateway/v1/proxy/reports/x", "/k8s/clusters/c1/apis/gopprof.io/v1/gateway/v1/proxy/reports/x", "", "Bearer r2d2"},
		"no namespace":    {Options{Context: "by-token", As: "bob"}, "default", "/k8s/clusters/c1/apis/gopprof.io/v1/namespaces/default/gateway/v1/proxy/reports/x", "", "", "Bearer r2d2"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Kubeconfig, c.o.UserAgent, c.o.Getenv = kubeconfig, "me", env(nil)
			s, err := c.o.Open()
			if err != nil {
				t.Fatal(err)
			}
			if s.Namespace != c.namespace || !s.Gateway || s.Page("/x") != "" {
				t.Errorf("%+v", s)
			}
			if _, err := s.HTTP.Get(s.URL(s.Namespace, "/api/v1/reports/x").String()); err != nil {
				t.Fatal(err)
			}
			common := ""
			for _, peer := range seen.TLS.PeerCertificates {
				common = peer.Subject.CommonName
			}
			if seen.URL.Path != c.path || seen.Header.Get("Authorization") != c.who || common != c.common || seen.UserAgent() != "me" || seen.Header.Get("Impersonate-User") != c.o.As {
				t.Errorf("%s by %q %v", seen.URL, common, seen.Header)
			}
			if all := s.URL("", "/api/v1/reports/x").Path; c.all != "" && all != c.all {
				t.Errorf("all namespaces: %s", all)
			}
		})
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	if s, err := (Options{Getenv: env(nil)}).Open(); err != nil || s.Namespace != "shop" {
		t.Errorf("by KUBECONFIG: %+v, %v", s, err)
	}
	names := Options{}.Contexts()
	slices.Sort(names)
	if !slices.Equal(names, []string{"by-certificate", "by-token"}) {
		t.Errorf("%v", names)
	}
}

func TestKubeconfigsThatAreNone(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBECONFIG", filepath.Join(dir, "none"))
	if _, err := (Options{Getenv: env(nil)}).Open(); err == nil || !strings.Contains(err.Error(), "--server") {
		t.Errorf("%v", err)
	}
	broken := filepath.Join(dir, "broken")
	write(t, broken, "{")
	for _, o := range []Options{{Kubeconfig: filepath.Join(dir, "none")}, {Kubeconfig: broken}, {Context: "x"}} {
		o.Getenv = env(nil)
		if _, err := o.Open(); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
