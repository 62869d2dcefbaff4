package browser

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Kind says what a message is about.
type Kind string

// The kinds of messages. All but warnings and cancelled requests fail a test.
const (
	ConsoleError   Kind = "console error" // of the page's scripts, or of the browser about the page, as a violated CSP
	ConsoleWarning Kind = "console warning"
	Exception      Kind = "exception" // that nothing caught
	FailedRequest  Kind = "failed request"
	Cancelled      Kind = "cancelled request" // by the page or the user, as when a tab goes elsewhere
	ForeignRequest Kind = "request to a foreign host"
	Dialog         Kind = "dialog"        // alert, confirm or prompt; it is accepted
	Trouble        Kind = "browser error" // the tab crashed, or the browser did not do its part
)

func (k Kind) harmless() bool { return k == ConsoleWarning || k == Cancelled }

// Message is something that the browser complained about.
type Message struct {
	Kind Kind
	Text string
	URL  string // what it is about, or where it happened; "" is unknown
	Line int    // in URL, from 1; 0 is unknown
	Tab  *Tab   // nil if it is of a worker that no tab owns
}

func (m Message) String() string {
	s := fmt.Sprintf("%s: %s", m.Kind, m.Text)
	if m.URL != "" {
		s += " (" + m.URL
		if m.Line > 0 {
			s += fmt.Sprintf(":%d", m.Line)
		}
		s += ")"
	}
	return s
}

// Request is a request that the browser was to make, whether it did or not.
type Request struct {
	Method  string
	URL     string
	Status  int    // of the answer; 0 is none yet
	Failure string // why there is none, as "net::ERR_CONNECTION_REFUSED"
	Tab     *Tab   // nil if it is of a worker that no tab owns

	id string
}

// record is what the browser did. It is not safe for concurrent use.
type record struct {
	hosts    []string
	messages []Message
	requests []Request
	// challenged holds the requests that credentials were sent for, by the id they are paused by.
	challenged map[string]bool
}

func newRecord(hosts []string) record {
	return record{hosts: hosts, challenged: map[string]bool{}}
}

// allowed tells whether the address is of an allowed host, or of none.
func (r *record) allowed(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "data", "about", "blob":
		return true
	case "http", "https", "ws", "wss":
		return slices.Contains(r.hosts, u.Host) || slices.Contains(r.hosts, u.Hostname())
	}
	return false
}

// asked writes down a request.
func (r *record) asked(q Request) {
	r.requests = append(r.requests, q)
	r.checkHost(q.URL, q.Tab)
}

// checkHost complains about a foreign host, once for each address.
func (r *record) checkHost(address string, tab *Tab) {
	known := slices.ContainsFunc(r.messages, func(m Message) bool { return m.Kind == ForeignRequest && m.URL == address })
	if !known && !r.allowed(address) {
		hosts := cmp.Or(strings.Join(r.hosts, ", "), "none")
		r.messages = append(r.messages, Message{ForeignRequest, "allowed: " + hosts, address, 0, tab})
	}
}

// request returns the newest request of that id, or nil.
func (r *record) request(id string) *Request {
	for i := len(r.requests) - 1; i >= 0; i-- {
		if r.requests[i].id == id {
			return &r.requests[i]
		}
	}
	return nil
}

func (r *record) answered(id string, status int) {
	if q := r.request(id); q != nil {
		q.Status = status
	}
}

func (r *record) failed(id, failure string, cancelled bool) {
	q := r.request(id)
	if q == nil {
		return
	}
	q.Failure = failure
	m := Message{FailedRequest, failure, q.URL, 0, q.Tab}
	if cancelled {
		m.Kind = Cancelled
	}
	r.messages = append(r.messages, m)
}
