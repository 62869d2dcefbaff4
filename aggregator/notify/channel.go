package notify

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Poster is a channel whose messages are one HTTP POST each; it does no I/O. A family of
// child packages: what they all keep is checked by notifytest.
type Poster interface {
	// Write returns the POST of a letter. An error means that the letter can never be written.
	Write(l Letter) (Post, error)
	// Read says what an answer means. said is what its status means; a channel may know
	// better, since some report failures with status 200.
	Read(a Answer, said Outcome) Outcome
	// Pace is how often the channel's API may be called.
	Pace() Pace
}

// Sender is a channel that is no HTTP POST.
type Sender interface {
	// Send makes one attempt, as long as ctx lasts. What it returns holds no secret.
	Send(ctx context.Context, l Letter) Outcome
}

// Channels are the channels that receivers may have, by name.
type Channels struct {
	Posters map[string]Poster
	Senders map[string]Sender
}

// pace returns how often a channel may be used.
func (c Channels) pace(name string) Pace {
	if p := c.Posters[name]; p != nil {
		return p.Pace()
	}
	return Pace{}
}

// Letter is a message on its way to a receiver.
type Letter struct {
	To      Receiver
	Message Message
	Report  *gopprof.Report // of a message about one report alone that was not waited with; else nil
	Sign    Secret          // what SignFile holds; the password of e-mail
	Left    []string        // the recipients whom alone it goes to, those of an earlier Outcome; empty: all
	Now     time.Time
}

// Post is what a Poster wants posted to the receiver's URL.
type Post struct {
	Body        []byte
	ContentType string
	Header      http.Header // beside the usual; may be nil
	Path        string      // behind the path of the receiver's URL
	Query       url.Values  // beside those of the receiver's URL; may be nil
}

// Answer is what a receiver answered, its body bounded.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Outcome is what became of an attempt. The zero Outcome is: told.
type Outcome struct {
	Reason gopprof.Reason // empty when told
	Detail string         // without any secret once it leaves this package
	Retry  bool           // else given up
	After  time.Duration  // least pause that the receiver asks for; it holds for all its messages
	// Left are the recipients who did not get it and may later, where others got it or never
	// will: whether told or failed, it is to be tried again with them alone.
	Left []string
	// Refused says which recipients will never get it, and why, where others may.
	Refused []string
}

// Pace is how often an API may be called; the zero Pace is as often as one likes.
type Pace struct {
	Messages int
	Per      time.Duration
}

// Refused is the outcome of an answer that says no for good, Busy of one that asks to come
// again later.
func Refused(detail string) Outcome {
	return Outcome{Reason: gopprof.ReasonStatus, Detail: detail}
}

// Busy asks to come again, after a pause if it is not 0.
func Busy(detail string, after time.Duration) Outcome {
	return Outcome{Reason: gopprof.ReasonStatus, Detail: detail, Retry: true, After: after}
}
