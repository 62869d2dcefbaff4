package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// until is a certificate that ends at a time.
func until(t *testing.T, end time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// expiries are the ends that the metric tells, by server.
func expiries(t *testing.T, from prometheus.Gatherer) map[string]time.Time {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]time.Time{}
	for _, f := range families {
		if f.GetName() == "gopprof_aggregator_certificate_expiry_timestamp_seconds" {
			for _, m := range f.Metric {
				out[m.Label[0].GetValue()] = time.Unix(int64(m.Gauge.GetValue()), 0)
			}
		}
	}
	return out
}

func TestCertificateExpiry(t *testing.T) {
	late, early := time.Unix(4e9, 0), time.Unix(3e9, 0)
	chain, unreadable := [][]byte{until(t, late)}, error(nil)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(newCertificates(map[string]func() (*tls.Certificate, error){
		"api":  func() (*tls.Certificate, error) { return &tls.Certificate{Certificate: chain}, unreadable },
		"nats": func() (*tls.Certificate, error) { return nil, errors.New("cannot be read") },
	}))
	check := func(what string, want time.Time) {
		t.Helper()
		if got := expiries(t, reg); len(got) != 1 || !got["api"].Equal(want) {
			t.Errorf("%s: %v, want api alone at %v", what, got, want)
		}
	}
	check("alone", late)
	chain = append(chain, until(t, early))
	check("its issuer ends before it", early)
	slices.Reverse(chain)
	check("in another order", early)
	chain = [][]byte{until(t, late.Add(time.Hour))}
	check("replaced", late.Add(time.Hour))
	unreadable = errors.New("cannot be read")
	check("cannot be read any more", late.Add(time.Hour))
}
