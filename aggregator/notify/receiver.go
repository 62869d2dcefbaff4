package notify

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"sync"
	"text/template"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

var (
	receiverName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	triggers      = []gopprof.TriggerKind{gopprof.TriggerRule, gopprof.TriggerAlert, gopprof.TriggerManual, gopprof.TriggerSibling}
	toldByDefault = []gopprof.TriggerKind{gopprof.TriggerRule, gopprof.TriggerAlert}
)

// receiver is a configured receiver with the state that its posts share.
type receiver struct {
	Receiver
	template *template.Template // nil: none
	pace     Pace
	slots    chan struct{} // one for each post that may run

	unhandled unhandled

	mu       sync.Mutex // guards until, sent and unworded
	until    time.Time  // the receiver asked for a pause up to then
	sent     []time.Time
	unworded bool // it was said that the template fails
}

func newReceiver(r Receiver, atOnce int, pace Pace) *receiver {
	t, _ := parseTemplate(r.Template) // the configuration was checked
	return &receiver{Receiver: r, template: t, pace: pace, slots: make(chan struct{}, atOnce), unhandled: unhandled{all: map[gopprof.Reason]map[string]time.Time{}}}
}

// patience is how long a report waits for a slot. A receiver that lets its posts hang must
// not hold up everybody who could be told by another one.
const patience = time.Second

// enter waits a moment for a free slot. The error is why there was none.
func (r *receiver) enter(ctx context.Context) error {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-t.C:
		return errBusy
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *receiver) leave() { <-r.slots }

// pause keeps every post to this receiver back until a time.
func (r *receiver) pause(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if until.After(r.until) {
		r.until = until
	}
}

// paused is how long nothing may be posted: because the receiver asked for it, or because
// its API takes no more by now.
func (r *receiver) paused(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.until.Sub(now)
	if left > maxRetryAfter { // of before the clock was set back
		left, r.until = 0, time.Time{}
	}
	if n := len(r.sent); r.pace.Messages > 0 && n >= r.pace.Messages {
		left = max(left, r.pace.Per-now.Sub(r.sent[n-r.pace.Messages]))
	}
	return left
}

// used counts an attempt against the pace.
func (r *receiver) used(now time.Time) {
	if r.pace.Messages == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent = append(r.sent, now); len(r.sent) > r.pace.Messages {
		r.sent = r.sent[1:]
	}
}

// grouped tells whether reports wait for others to be told with them. A program that takes
// the event itself gets every report by itself, at once.
func (r *receiver) grouped() bool { return r.Channel != ChannelWebhook || r.template != nil }

// write completes a message with what the receiver's template makes of it.
func (r *receiver) write(m Message) (Message, error) {
	if r.template == nil {
		return m, nil
	}
	text, err := execute(r.template, m)
	if err != nil {
		return m, err
	}
	if r.Channel == ChannelWebhook { // the body itself
		m.Text = text
	} else {
		m.Text = templateLines(text)
	}
	return m, nil
}

// firstUnworded tells, once, that the template has not failed before.
func (r *receiver) firstUnworded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.unworded
	r.unworded = true
	return first
}

// address returns where to post to. Its errors never hold the URL.
func (r *receiver) address() (*url.URL, error) {
	raw := r.URL
	if raw == "" {
		var err error
		if raw, err = r.URLFile.Read(); err != nil {
			return nil, err
		}
	}
	if err := checkURL(raw); err != nil {
		return nil, err
	}
	return url.Parse(raw)
}

// checkURL tells what is wrong with a URL to post to, without repeating it.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("not a URL with http or https and a host")
	}
	return nil
}
