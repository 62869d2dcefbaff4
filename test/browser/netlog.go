package browser

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
)

// netEvent is an event of Chromium's network log.
type netEvent struct {
	Type   int
	Source struct{ ID int }
	Params struct{ Address, Host string }
}

// leaving returns what the browser's network log shows to have gone beyond loopback: names
// that it looked up, addresses that it connected to or sent datagrams to. Chromium asks some
// hosts of its own accord whatever its flags say; that counts only if it gets so far.
func leaving(log []byte) ([]string, error) {
	lines := bytes.Split(log, []byte("\n"))
	var head struct {
		Constants struct{ LogEventTypes map[string]int }
	}
	// The first line ends in the middle of the object: the list of events follows.
	if err := json.Unmarshal(append(bytes.TrimRight(lines[0], ",\r"), '}'), &head); err != nil {
		return nil, fmt.Errorf("reading the browser's network log: %w", err)
	}
	types := head.Constants.LogEventTypes
	for _, name := range []string{"TCP_CONNECT_ATTEMPT", "UDP_CONNECT", "UDP_BYTES_SENT", "HOST_RESOLVER_MANAGER_REQUEST"} {
		if types[name] == 0 {
			return nil, fmt.Errorf("reading the browser's network log: it knows no %s", name)
		}
	}
	if len(lines) < 3 {
		return nil, errors.New("reading the browser's network log: it has no events")
	}
	var out []string
	peers := map[int]string{} // of UDP sockets, by source
	for _, line := range lines[2:] {
		var e netEvent
		if json.Unmarshal(bytes.TrimRight(line, ",]\r"), &e) != nil {
			continue // what follows the events
		}
		to := ""
		switch e.Type {
		case types["UDP_CONNECT"]:
			if e.Params.Address != "" {
				peers[e.Source.ID] = e.Params.Address
			}
		case types["UDP_BYTES_SENT"]:
			to = e.Params.Address
			if to == "" {
				to = peers[e.Source.ID]
			}
		case types["TCP_CONNECT_ATTEMPT"]:
			to = e.Params.Address
		case types["HOST_RESOLVER_MANAGER_REQUEST"]:
			to = e.Params.Host
		}
		if to != "" && !stays(to) && !slices.Contains(out, to) {
			out = append(out, to)
		}
	}
	return out, nil
}

// stays tells whether an address with its port, or an origin, is of loopback or of no host.
func stays(to string) bool {
	if a, err := netip.ParseAddrPort(to); err == nil {
		return a.Addr().IsLoopback()
	}
	u, err := url.Parse(to)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return err == nil && a.IsLoopback() || slices.Contains([]string{"localhost", "~notfound"}, u.Hostname())
}
