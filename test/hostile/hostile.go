// Package hostile is a corpus of targets that mean harm: what a server may answer in the
// place of net/http/pprof, and what an agent that somebody has taken over may pass on.
//
// Each case is a few lines: a name, the bytes or the behaviour, and the reasons that may
// come of it. Its tests drive every case through the real stages of both programs, each in
// a process of its own (victim) with a bound on its memory, and hold that it ends in time
// with one of its reasons, costs less than 128 MB, delays no other target, reaches no
// other address, and puts nothing before a person but text and shapes. What it costs is
// resident memory beyond what the idle program has, of the program and the processes that it
// started together; what a view of pprof's pages may have, a process for each that somebody
// opens, is held by the tests of aggregator/draw/views.
//
// Payloads are streamed and never built in memory. Nothing here sends a packet to another
// machine: addresses elsewhere are offered, and whoever follows meets a dialler that
// records and refuses. The tests run in a network namespace that has loopback only, whose
// kernel counts what is dialled past that dialler.
package hostile

import (
	"io"
	"iter"
	"net"
	"net/http"
	"path"
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Case is one hostile target. Exactly one of Payload, HTTP and Raw says how it answers.
type Case struct {
	Name string
	Kind gopprof.Kind // asked for
	// Payload is the body of an answer of status 200; it goes to the aggregator as well.
	Payload Payload
	// More are further kinds that are asked for after Kind, and what is answered.
	More map[gopprof.Kind]Payload
	// HTTP answers a request.
	HTTP http.HandlerFunc
	// Raw answers below HTTP. It ends when the connection is closed by the other side.
	Raw func(net.Conn)
	// HTTPS is what the agent is told that the target speaks; Identity makes it true.
	HTTPS    bool
	Identity *Identity
	// Light is a case whose cost is not what it is about.
	Light bool
	// Slow is a target that ends by its time and not by its size.
	Slow bool
	// Reasons are those that may come of it; "" is a profile in which there is no harm. Of
	// several kinds they are those of the first that failed.
	Reasons []gopprof.Reason
}

// Payload writes the bytes of one profile. It ends with the writer's first error.
type Payload func(io.Writer) error

// Allows tells whether a reason may come of the case.
func (c Case) Allows(r gopprof.Reason) bool { return slices.Contains(c.Reasons, r) }

// Kinds lists what is asked for, in this order.
func (c Case) Kinds() []gopprof.Kind {
	kinds := []gopprof.Kind{c.Kind}
	for _, k := range gopprof.Kinds() {
		if c.More[k] != nil {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// Of returns what is answered when a kind is asked for.
func (c Case) Of(k gopprof.Kind) Payload {
	if p := c.More[k]; p != nil {
		return p
	}
	return c.Payload
}

// Files yields, by their names, the payloads that have at most so many bytes: seeds for
// whatever reads what a target answers.
func Files(most int) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, c := range Cases("127.0.0.1:1") {
			if c.Payload == nil {
				continue
			}
			b := short{left: most}
			if err := c.Payload(&b); err == nil && !yield(c.Name, b.data) {
				return
			}
		}
	}
}

// short refuses what does not fit.
type short struct {
	data []byte
	left int
}

func (s *short) Write(p []byte) (int, error) {
	if s.left -= len(p); s.left < 0 {
		return 0, io.ErrShortWrite
	}
	s.data = append(s.data, p...)
	return len(p), nil
}

// Cases returns the corpus. Elsewhere is an address, host:port, that the cases try to lead
// to; nobody may ever connect to it.
func Cases(elsewhere string) []Case {
	return slices.Concat(files(), light(texts()), profiles(), captures(), light(values()), light(references()), light(names()),
		bodies(), light(answers()), light(redirects(elsewhere)), connections(), secure())
}

func light(cases []Case) []Case {
	for i := range cases {
		cases[i].Light = true
	}
	return cases
}

// payload is a case whose target answers with a file.
func payload(name string, kind gopprof.Kind, p Payload, reasons ...gopprof.Reason) Case {
	return Case{Name: name, Kind: kind, Payload: p, Reasons: reasons}
}

// Scheme is how the agent is told to ask the target.
func (c Case) Scheme() string {
	if c.HTTPS || c.Identity != nil {
		return "https"
	}
	return "http"
}

// Handler answers requests for any page of the case's target.
func (c Case) Handler() http.Handler {
	if c.HTTP != nil {
		return c.HTTP
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _ := gopprof.ParseKind(path.Base(r.URL.Path)) // of any other page the first kind's
		_ = c.Of(kind)(w)                                   // whoever has had enough hangs up
	})
}
