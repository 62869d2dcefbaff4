package selfca

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
)

// clock is a time that the test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func open(t *testing.T, c *clock, dir string, names ...string) *CA {
	t.Helper()
	a, err := Open(Config{Enabled: true, Dir: dir, Names: names}, c.now, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// trusts tells whether who knows the bundle believes the certificate that is served.
func trusts(t *testing.T, bundle []byte, a *CA, name string, at time.Time) error {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		t.Fatalf("no certificates: %q", bundle)
	}
	cert, err := a.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: at})
	return err
}

func TestClientWhoKnowsTheBundleConnects(t *testing.T) {
	c := &clock{time.Now()}
	a := open(t, c, t.TempDir(), "nats.gopprof.svc", "127.0.0.1")
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: a.GetCertificate})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).HandshakeContext(t.Context())
			_ = conn.Close()
		}
	}()
	bundle, _ := a.Bundle()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	for name, want := range map[string]bool{"": true, "nats.gopprof.svc": true, "other": false} {
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: name})
		if (err == nil) != want {
			t.Errorf("name %q: %v", name, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = conn.Close()
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	c, dir := &clock{time.Now()}, t.TempDir()
	one := open(t, c, dir, "a")
	bundle, _ := one.Bundle()
	cert, _ := one.GetCertificate(nil)
	two := open(t, c, dir, "a")
	again, _ := two.Bundle()
	certAgain, _ := two.GetCertificate(nil)
	if string(bundle) != string(again) || !cert.Leaf.Equal(certAgain.Leaf) {
		t.Error("a restart made something anew")
	}
	three := open(t, c, dir, "a", "b")
	if err := trusts(t, bundle, three, "b", c.at); err != nil {
		t.Errorf("a new name is not served: %v", err)
	}
	for _, f := range files(t, dir) {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	out, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTwentyYears: a client is served that learnt the bundle five days before.
func TestTwentyYears(t *testing.T) {
	c := &clock{time.Now()}
	a := open(t, c, t.TempDir(), "a")
	certs, bundles := map[string]bool{}, map[string]bool{}
	before, changed := a.Bundle()
	for range 20 * 73 {
		c.at = c.at.Add(5 * 24 * time.Hour)
		if err := a.renew(); err != nil {
			t.Fatal(err)
		}
		if err := trusts(t, before, a, "a", c.at); err != nil {
			t.Fatalf("on %s: %v", c.at, err)
		}
		was := before
		before, _ = a.Bundle()
		select {
		case <-changed:
			_, changed = a.Bundle()
		default:
			if string(was) != string(before) {
				t.Fatal("a new bundle, and nobody was told")
			}
		}
		cert, _ := a.GetCertificate(nil)
		certs[cert.Leaf.SerialNumber.String()], bundles[string(before)] = true, true
	}
	if len(bundles) != 5 { // 1, 1+2, 2, 2+3, 3
		t.Errorf("%d bundles", len(bundles))
	}
	if len(certs) < 80 || len(certs) > 130 {
		t.Errorf("%d serving certificates", len(certs))
	}
}

func TestDamage(t *testing.T) {
	c, dir := &clock{time.Now()}, t.TempDir()
	a := open(t, c, dir, "a")
	bundle, _ := a.Bundle()
	serving := filepath.Join(dir, servingFile)
	if err := os.WriteFile(serving, []byte("what"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := trusts(t, bundle, open(t, c, dir, "a"), "a", c.at); err != nil {
		t.Errorf("a serving certificate that is lost is not made anew: %v", err)
	}
	authorities, _ := filepath.Glob(filepath.Join(dir, authorityPrefix+"*"))
	data, err := os.ReadFile(serving)
	if err != nil || len(authorities) != 1 {
		t.Fatal(authorities, err)
	}
	for _, damage := range [][]byte{nil, []byte("what"), data[:len(data)/2]} {
		if err := os.WriteFile(authorities[0], damage, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Dir: dir, Names: []string{"a"}}, c.now, zap.NewNop()); err == nil {
			t.Errorf("took %q as an authority", damage)
		}
	}
}

func TestCheck(t *testing.T) {
	cases := map[string]struct {
		c    Config
		want []string
	}{
		"default":      {DefaultConfig(), nil},
		"off":          {Config{}, nil},
		"no names":     {Config{Enabled: true, Dir: "x"}, []string{"names"}},
		"no directory": {Config{Enabled: true, Names: []string{"a.b-c", "::1", "*.svc"}}, []string{"dir"}},
		"no name":      {Config{Enabled: true, Dir: "x", Names: []string{"a b", "https://a", "-a", "a..b", ""}}, []string{"names[0]", "names[1]", "names[2]", "names[3]", "names[4]"}},
	}
	for name, tc := range cases {
		var got []string
		tc.c.Check(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// FuzzPair: what is read is a certificate with its own key, or an error.
func FuzzPair(f *testing.F) {
	p, err := newAuthority(time.Now())
	if err != nil {
		f.Fatal(err)
	}
	data, _ := p.pem()
	f.Add(data)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := parsePair(data); err == nil && !p.key.PublicKey.Equal(p.cert.PublicKey) {
			t.Fatal("took a key that is not the certificate's")
		}
	})
}
