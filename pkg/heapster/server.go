package heapster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// What may be wrong with an exchange, beside the network.
var (
	ErrTooLarge   = errors.New("the answer is larger than allowed")
	ErrRedirected = errors.New("the server answered with a redirect, which is never followed")
	ErrNoAnswer   = errors.New("no whole answer in time")
)

// Access says how an InfluxDB 1.x is reached.
type Access struct {
	URL            string                 // http or https, host, port, perhaps a path; see CheckURL
	Username       string                 // empty: no authentication
	Password       func() (string, error) // read at each exchange, so that a changed one is seen
	CAFile         string                 // PEM; empty: the system's
	Timeout        time.Duration          // of one exchange, from dialling to the last byte
	AnswerMaxBytes int64                  // decompressed
}

// Server is one InfluxDB 1.x. Its exchanges end with their context, follow no redirect, use
// no proxy and hold a bounded number of bytes: the client library's own HTTP client has none
// of these, which is why it is not used. Safe for concurrent use.
type Server struct {
	access Access
	base   *url.URL
	client *http.Client
}

// Answer is a whole answer of a server.
type Answer struct {
	Status int
	JSON   bool // the server says that the body is JSON
	Body   []byte
}

// NewServer reads the CA file; it does not connect.
func NewServer(a Access) (*Server, error) {
	if problem := CheckURL(a.URL); problem != "" {
		return nil, fmt.Errorf("address of InfluxDB: %s", problem)
	}
	base, err := url.Parse(a.URL)
	if err != nil {
		return nil, errors.New("address of InfluxDB: not a URL")
	}
	roots, err := readRoots(a.CAFile)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: a.Timeout}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    a.Timeout,
		MaxIdleConns:           2,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Server{access: a, base: base, client: &http.Client{Transport: transport, CheckRedirect: refuse}}, nil
}

// CheckURL tells what is wrong with the address of a server, or nothing. A name or password
// in it is refused, since addresses are logged.
func CheckURL(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "is not a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return "must begin with http:// or https://"
	case u.Hostname() == "":
		return "names no host"
	case u.User != nil:
		return "must not hold a user name or password: they have keys of their own"
	case u.RawQuery != "" || u.Fragment != "":
		return "must not hold a query or fragment"
	}
	return ""
}

func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading CA file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading CA file %q: no certificate in it", file)
	}
	return roots, nil
}

// Query sends the form (q, db, rp, epoch, params …) to the server's query page.
func (s *Server) Query(ctx context.Context, form url.Values) (Answer, error) {
	return s.exchange(ctx, "query", nil, "application/x-www-form-urlencoded", form.Encode())
}

// Write sends lines of InfluxDB's line protocol with the parameters (db, rp, precision).
func (s *Server) Write(ctx context.Context, parameters url.Values, lines string) (Answer, error) {
	return s.exchange(ctx, "write", parameters, "text/plain; charset=utf-8", lines)
}

// Close gives idle connections back.
func (s *Server) Close() { s.client.CloseIdleConnections() }

func (s *Server) exchange(ctx context.Context, page string, parameters url.Values, contentType, body string) (Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.access.Timeout, fmt.Errorf("%w: %s", ErrNoAnswer, s.access.Timeout))
	defer cancel()
	u := s.base.JoinPath(page)
	u.RawQuery = parameters.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("making request: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "gopprof")
	if err := s.authenticate(req); err != nil {
		return Answer{}, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return Answer{}, cause(ctx, err)
	}
	defer resp.Body.Close()
	return s.read(ctx, resp)
}

func (s *Server) authenticate(req *http.Request) error {
	if s.access.Username == "" {
		return nil
	}
	password, err := s.access.Password()
	if err != nil {
		return fmt.Errorf("reading password: %w", err)
	}
	req.SetBasicAuth(s.access.Username, password)
	return nil
}

func (s *Server) read(ctx context.Context, resp *http.Response) (Answer, error) {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return Answer{}, ErrRedirected
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, s.access.AnswerMaxBytes+1))
	if err != nil {
		return Answer{}, fmt.Errorf("reading answer: %w", cause(ctx, err))
	}
	if int64(len(body)) > s.access.AnswerMaxBytes {
		return Answer{}, fmt.Errorf("%w: %d bytes", ErrTooLarge, s.access.AnswerMaxBytes)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return Answer{Status: resp.StatusCode, JSON: kind == "application/json", Body: body}, nil
}

// cause says why the exchange failed: the end of the context if it ended, and never the
// address, which net/http puts before its errors.
func cause(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
