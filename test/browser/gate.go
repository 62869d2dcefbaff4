package browser

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// paused decides about a request before it is made.
func (b *Browser) paused(e event, p struct {
	RequestID string
	Request   struct {
		URL     string
		Headers map[string]string
	}
}) {
	if !b.record.allowed(p.Request.URL) {
		b.record.checkHost(p.Request.URL, b.tabOf(e))
		b.conn.send(e.SessionID, "Fetch.failRequest", args{"requestId": p.RequestID, "errorReason": "BlockedByClient"}, nil)
		return
	}
	pass := args{"requestId": p.RequestID}
	if len(b.options.Login.Header) > 0 {
		pass["headers"] = b.options.Login.headers(p.Request.URL, p.Request.Headers)
	}
	b.conn.send(e.SessionID, "Fetch.continueRequest", pass, nil)
}

// headers returns a request's headers with the login's, and without them for any other
// origin: a request that was redirected still has them.
func (l Login) headers(address string, given map[string]string) []args {
	var out []args
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !l.has(name) {
			out = append(out, args{"name": name, "value": given[name]})
		}
	}
	if originOf(address) != originOf(l.Origin) {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(l.Header)) {
		out = append(out, args{"name": name, "value": l.Header[name]})
	}
	return out
}

func (l Login) has(name string) bool {
	for own := range l.Header {
		if strings.EqualFold(own, name) {
			return true
		}
	}
	return false
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// challenged answers a server that asks for basic authentication: once, and only the login's
// origin.
func (b *Browser) challenged(e event, p struct {
	RequestID     string
	Request       struct{ URL string }
	AuthChallenge struct{ Origin, Source string }
}) {
	answer := args{"response": "CancelAuth"}
	l := b.options.Login
	ours := l.Username != "" && p.AuthChallenge.Source != "Proxy" && originOf(p.AuthChallenge.Origin) == originOf(l.Origin)
	if again := b.record.challenged[p.RequestID]; ours && !again {
		answer = args{"response": "ProvideCredentials", "username": l.Username, "password": l.Password}
	}
	b.record.challenged[p.RequestID] = true
	b.conn.send(e.SessionID, "Fetch.continueWithAuth", args{"requestId": p.RequestID, "authChallengeResponse": answer}, nil)
}
