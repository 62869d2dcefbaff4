package take

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// dial makes a connection to one endpoint and nowhere else.
func dial(ctx context.Context, cfg Config, e gopprof.Endpoint, allow func(address string) error) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: cfg.ConnectTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		if err := refuseAddr(address); err != nil {
			return err
		}
		return allow(address)
	}}
	return dialer.DialContext(ctx, "tcp", net.JoinHostPort(e.Host, strconv.Itoa(e.Port)))
}

// transport asks over one connection, which is made already: no proxy, no kept connection,
// HTTP/1.1 only, so that ending a request closes its connection.
func transport(cfg Config, e gopprof.Endpoint, made func() net.Conn) (*http.Transport, error) {
	tr := &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return made(), nil },
		TLSHandshakeTimeout:    cfg.ConnectTimeout,
		DisableKeepAlives:      true,
		DisableCompression:     true, // the bytes are kept as they come
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              new(http.Protocols),
	}
	tr.Protocols.SetHTTP1(true)
	if e.Scheme != "https" {
		return tr, nil
	}
	var err error
	tr.TLSClientConfig, err = cfg.TLS.client()
	return tr, err
}

// refuseAddr looks at the address a host name has led to, before the connection.
func refuseAddr(address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return &Error{Reason: gopprof.ReasonInvalidEndpoint, Err: err}
	}
	if problem := addrProblem(to.Addr()); problem != "" {
		return &Error{Reason: gopprof.ReasonInvalidEndpoint, Detail: problem}
	}
	return nil
}

func (c TLSConfig) client() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.InsecureSkipVerify}
	if c.CAFile == "" {
		return t, nil
	}
	var err error
	t.RootCAs, err = readCAs(c.CAFile)
	return t, err
}

func readCAs(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading CA certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading CA certificates %q: no certificate (PEM) in it", path)
	}
	return pool, nil
}
