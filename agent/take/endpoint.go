package take

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

var (
	// hostName is a DNS name whose last label starts with a letter: resolvers read names
	// like "127.1" or "0x7f.1" as addresses.
	hostName = regexp.MustCompile(`^(?i:[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?\.)*(?i:[a-z]([a-z0-9_-]{0,61}[a-z0-9])?)$`)
	// pagePath has no character with a meaning of its own in a URL.
	pagePath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)
)

// checkEndpoint refuses what might lead away from the target.
func checkEndpoint(e gopprof.Endpoint) error {
	problem := ""
	switch {
	case e.Scheme != "http" && e.Scheme != "https":
		problem = fmt.Sprintf("scheme %q is neither http nor https", e.Scheme)
	case e.Port < 1 || e.Port > 65535:
		problem = fmt.Sprintf("port %d is not in 1–65535", e.Port)
	case len(e.Path) > 256 || !pagePath.MatchString(e.Path) || e.Path != "" && path.Clean(e.Path) != e.Path:
		problem = fmt.Sprintf("path %q is not a plain absolute path", e.Path)
	default:
		problem = hostProblem(e.Host)
	}
	if problem == "" {
		return nil
	}
	return &Error{Reason: gopprof.ReasonInvalidEndpoint, Detail: clean(problem)}
}

func hostProblem(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return addrProblem(ip)
	}
	if len(host) > 253 || !hostName.MatchString(strings.TrimSuffix(host, ".")) {
		return fmt.Sprintf("host %q is neither an IP address nor a host name", host)
	}
	return ""
}

// addrProblem refuses addresses that no target has: those that stand for many hosts or for
// this one, and link-local ones, where clouds keep their metadata services.
func addrProblem(ip netip.Addr) string {
	ip = ip.Unmap()
	if ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return fmt.Sprintf("address %s is not one of a target", ip)
	}
	return ""
}
