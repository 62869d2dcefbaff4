package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// Identity is the certificate of an https target, signed by itself.
type Identity struct {
	Host    string   // name or IP address in it
	Trusted bool     // the agent's authorities hold it
	Speaks  []string // protocols that it offers; nil is what Go's server does
	Version uint16   // the newest of TLS that it speaks; 0 is whatever there is
}

// secure are https targets that are not whom they should be.
func secure() []Case {
	page := whole(profiletest.Heap(profiletest.On(1<<20, "main.f")))
	https := func(name string, of Identity, reasons ...gopprof.Reason) Case {
		return Case{Name: name, Kind: gopprof.KindHeap, Payload: page, Identity: &of, Reasons: reasons}
	}
	raw := func(name string, answer func(net.Conn), reasons ...gopprof.Reason) Case {
		c := below(name, answer, reasons...)
		c.HTTPS = true
		return c
	}
	const loopback = "127.0.0.1"
	speaking := func(name string, answer func(net.Conn), reasons ...gopprof.Reason) Case {
		c := below(name, answer, reasons...)
		c.Identity = &Identity{Host: loopback, Trusted: true, Speaks: []string{"h2", "http/1.1"}}
		return c
	}
	return []Case{
		https("TLS: of the right name", Identity{Host: loopback, Trusted: true}, harmless),
		https("TLS: of the wrong name", Identity{Host: "other.example", Trusted: true}, unreachable),
		https("TLS: signed by a stranger", Identity{Host: loopback}, unreachable),
		speaking("TLS: HTTP/2 only", says(frame(4, 0, nil)), unreachable),
		speaking("TLS: HTTP/2 flood", endlessly(frame(4, 0, nil), frame(6, 0, make([]byte, 8))), unreachable),
		speaking("TLS: endless", endlessly("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("\x00", 16<<10)), tooLarge),
		https("TLS: an old version", Identity{Host: loopback, Trusted: true, Version: tls.VersionTLS11}, unreachable),
		slowly(raw("TLS: a handshake that is never answered", waiting, timeout, unreachable)),
		raw("TLS: an answer without", func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")) }, unreachable),
		raw("TLS: a flood of handshakes", func(c net.Conn) {
			record := []byte("\x16\x03\x03\x40\x00" + strings.Repeat("\x0b", 1<<14))
			for err := error(nil); err == nil; {
				_, err = c.Write(record)
			}
		}, unreachable),
	}
}

// Certificate makes the certificate.
func (i Identity) Certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: i.Host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if ip := net.ParseIP(i.Host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{i.Host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
