package notify

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"sync"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify/slack"
	"github.com/gopprof/gopprof/aggregator/notify/webhook"
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
	slots chan struct{} // one for each post that may run

	mu    sync.Mutex // guards until
	until time.Time  // the receiver asked for a pause up to then
}

func newReceiver(r Receiver, atOnce int) *receiver {
	return &receiver{Receiver: r, slots: make(chan struct{}, atOnce)}
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

func (r *receiver) paused(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.until.Sub(now)
}

// message writes a report as the receiver's channel wants it.
func (r *receiver) message(report gopprof.Report) (body []byte, contentType string, err error) {
	if r.Channel == ChannelSlack {
		return slack.Message(report)
	}
	return webhook.Message(report)
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
