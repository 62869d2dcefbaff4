package discover

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// DefaultPath is where net/http/pprof serves its pages unless told otherwise.
const DefaultPath = "/debug/pprof"

// maxPathBytes bounds an endpoint's path.
const maxPathBytes = 256

var (
	hostName = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?$`)
	// A host name's last label is never a number (RFC 3696).
	numericEnd = regexp.MustCompile(`(^|\.)(0[xX][0-9a-fA-F]*|[0-9]+)$`)
	pathText   = regexp.MustCompile(`^(/[a-zA-Z0-9._~-]+)+$`)
)

// CheckEndpoint tells everything that is wrong with an endpoint, or nil. A path holds
// only what needs no escaping in a URL, so that nothing after it can be read as another
// host, a query or another path.
func CheckEndpoint(e gopprof.Endpoint) error {
	var errs []error
	if e.Scheme != "http" && e.Scheme != "https" {
		errs = append(errs, fmt.Errorf("scheme %q: must be http or https", clip(e.Scheme)))
	}
	if err := checkHost(e.Host); err != nil {
		errs = append(errs, err)
	}
	if e.Port < 1 || e.Port > 65535 {
		errs = append(errs, fmt.Errorf("port %d: must be 1 to 65535", e.Port))
	}
	if err := checkPath(e.Path); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkHost accepts an address of one machine, or a host name; not what some resolvers
// read as an address though it is none ("127.1", "0x7f.1", "2130706433").
func checkHost(host string) error {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		if len(host) > 253 || !hostName.MatchString(host) || numericEnd.MatchString(host) {
			return fmt.Errorf("host %q: neither an IP address nor a host name", clip(host))
		}
		return nil
	}
	addr = addr.Unmap()
	switch {
	case addr.Zone() != "":
		return fmt.Errorf("host %q: an address with a zone", clip(host))
	case addr.IsUnspecified(), addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("host %q: not the address of one machine", clip(host))
	case addr.IsLinkLocalUnicast():
		return fmt.Errorf("host %q: a link-local address, where clouds keep their secrets", clip(host))
	}
	return nil
}

func checkPath(p string) error {
	if len(p) > maxPathBytes {
		return fmt.Errorf("path of %d bytes: longer than %d", len(p), maxPathBytes)
	}
	if !pathText.MatchString(p) || path.Clean(p) != p {
		return fmt.Errorf(`path %q: must be like "/debug/pprof", of letters, digits and . _ ~ - only`, clip(p))
	}
	return nil
}

func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
