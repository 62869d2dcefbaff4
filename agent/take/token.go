package take

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxTokenBytes bounds a token file; a service account's token has one or two KiB.
const maxTokenBytes = 16 << 10

// authorize puts the endpoint's bearer token, if it has one, into a request to that
// endpoint. A token never travels where somebody else could read it or answer in the
// endpoint's name: https with a certificate that is checked, or this machine's loopback.
func (c Config) authorize(req *http.Request, e gopprof.Endpoint) error {
	if e.BearerTokenFile == "" {
		return nil
	}
	if problem := c.tokenProblem(e); problem != "" {
		return &Error{Reason: gopprof.ReasonInvalidEndpoint, Detail: problem}
	}
	token, err := readToken(e.BearerTokenFile)
	if err != nil {
		return &Error{Reason: gopprof.ReasonUnreachable, Detail: fmt.Sprintf("no bearer token: %v", err)}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return nil
}

func (c Config) tokenProblem(e gopprof.Endpoint) string {
	if ip, err := netip.ParseAddr(e.Host); err == nil && ip.Unmap().IsLoopback() {
		return ""
	}
	switch {
	case e.Scheme != "https":
		return "a bearer token is sent by https only, or to a loopback address"
	case c.TLS.InsecureSkipVerify:
		return "a bearer token is not sent where any certificate is taken (take.tls.insecure_skip_verify)"
	}
	return ""
}

// readToken reads a token anew for each request: tokens are renewed in place.
func readToken(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would hold the node's gate until somebody writes into it
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(errors.New("it is not a regular file"), err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxTokenBytes+1))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	notVisible := func(r rune) bool { return r <= ' ' || r > '~' }
	if token == "" || len(data) > maxTokenBytes || strings.ContainsFunc(token, notVisible) {
		return "", errors.New("the file does not hold one token")
	}
	return token, nil
}
