package selfca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

const (
	typeCertificate = "CERTIFICATE"
	typeKey         = "PRIVATE KEY"
)

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(now time.Time) (pair, error) {
	template, err := newTemplate("gopprof "+now.UTC().Format(time.DateOnly), now, authorityLife)
	if err != nil {
		return pair{}, err
	}
	template.IsCA, template.MaxPathLenZero, template.KeyUsage = true, true, x509.KeyUsageCertSign
	return sign(template, pair{})
}

func newServing(signer pair, hosts []string, now time.Time) (pair, error) {
	life := min(servingLife, signer.left(now))
	template, err := newTemplate("gopprof", now, life)
	if err != nil {
		return pair{}, err
	}
	template.DNSNames, template.IPAddresses = Config{Names: hosts}.split()
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return sign(template, signer)
}

func newTemplate(name string, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("making serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(life), BasicConstraintsValid: true,
	}, nil
}

// sign makes a key and its certificate; without a signer it signs itself.
func sign(template *x509.Certificate, signer pair) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("making key: %w", err)
	}
	if signer.cert == nil {
		signer = pair{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, &key.PublicKey, signer.key)
	if err != nil {
		return pair{}, fmt.Errorf("signing certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return pair{}, fmt.Errorf("signing certificate: %w", err)
	}
	return pair{cert, key}, nil
}

func (p pair) left(now time.Time) time.Duration { return p.cert.NotAfter.Sub(now) }

func (p pair) tls() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{p.cert.Raw}, PrivateKey: p.key, Leaf: p.cert}
}

func (p pair) pem() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, fmt.Errorf("encoding key: %w", err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: p.cert.Raw})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: typeKey, Bytes: key})...), nil
}

var errNoPair = errors.New("must be a certificate and its ECDSA key, both PEM")

func parsePair(data []byte) (pair, error) {
	first, rest := pem.Decode(data)
	second, _ := pem.Decode(rest)
	if first == nil || second == nil || first.Type != typeCertificate || second.Type != typeKey {
		return pair{}, errNoPair
	}
	cert, err := x509.ParseCertificate(first.Bytes)
	if err != nil {
		return pair{}, fmt.Errorf("%w: %w", errNoPair, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(second.Bytes)
	if err != nil {
		return pair{}, errNoPair // the error could quote the key
	}
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok || !k.PublicKey.Equal(cert.PublicKey) {
		return pair{}, errNoPair
	}
	return pair{cert, k}, nil
}

func namesOf(c *x509.Certificate) []string {
	out := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}
