package static

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// parseURL takes the URL of a pprof page apart, once: it is never pasted together with
// anything again.
func parseURL(raw string) (gopprof.Endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Host == "" {
		return gopprof.Endpoint{}, errors.New(`is not a URL like "http://127.0.0.1:6060/debug/pprof"`)
	}
	switch {
	case u.User != nil:
		return gopprof.Endpoint{}, errors.New("must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return gopprof.Endpoint{}, errors.New("must end with the path: no query, no fragment")
	case u.EscapedPath() != u.Path || u.RawPath != "":
		return gopprof.Endpoint{}, errors.New("must not hold escapes in its path")
	}
	e := gopprof.Endpoint{Scheme: u.Scheme, Host: u.Hostname(), Path: strings.TrimSuffix(u.Path, "/")}
	if e.Path == "" {
		e.Path = discover.DefaultPath
	}
	if e.Port, err = portOf(u); err != nil {
		return gopprof.Endpoint{}, err
	}
	if err := discover.CheckEndpoint(e); err != nil {
		return gopprof.Endpoint{}, err
	}
	return e, nil
}

func portOf(u *url.URL) (int, error) {
	switch port := u.Port(); {
	case port != "":
		return strconv.Atoi(port)
	case strings.HasSuffix(u.Host, ":"):
		return 0, errors.New("ends its host with a colon and no port")
	case u.Scheme == "https":
		return 443, nil
	default:
		return 80, nil
	}
}
