package email

import (
	"context"
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"strings"

	"github.com/gopprof/gopprof/aggregator/notify"
)

// envelope is what a server said about each recipient. One who is refused, as somebody who has
// left or whose mailbox is full, does not keep the mail from the others.
type envelope struct {
	to       []string // who is to get the mail
	taken    []string
	deferred []string // answered 4xx: they may get it later
	said     []string // about the deferred
	refused  []string // who is refused for good (5xx), and why
}

// address names sender and recipients. The error is why nobody gets the mail.
func (e *envelope) address(client *smtp.Client, from string) error {
	if err := client.Mail(from); err != nil {
		return err
	}
	var last error
	for _, a := range e.to {
		err := client.Rcpt(a)
		code, answered := errors.AsType[*textproto.Error](err)
		switch {
		case err == nil:
			e.taken = append(e.taken, a)
		case !answered:
			return err
		case code.Code >= 500:
			e.refused = append(e.refused, fmt.Sprintf("%s is refused: %d %s", a, code.Code, code.Msg))
			last = err
		default:
			e.deferred = append(e.deferred, a)
			e.said = append(e.said, fmt.Sprintf("%s is put off: %d %s", a, code.Code, code.Msg))
		}
	}
	switch {
	case len(e.taken) > 0:
		return nil
	case len(e.deferred) > 0:
		return errDeferred
	}
	return last
}

// errDeferred is why nobody gets the mail, though somebody may later.
var errDeferred = errors.New("no recipient is taken now")

// outcome is what became of the mail. some tells that it was not for all recipients.
func (e *envelope) outcome(ctx context.Context, some bool, err error) notify.Outcome {
	detail := strings.Join(append(append([]string(nil), e.refused...), e.said...), ". ")
	switch {
	case err == nil:
		return notify.Outcome{Detail: detail, Left: e.deferred, Refused: e.refused}
	case errors.Is(err, errDeferred):
		out := notify.Busy("SMTP: "+detail, 0)
		if some || len(e.refused) > 0 {
			out.Left, out.Refused = e.deferred, e.refused
		}
		return out
	}
	out := classify(ctx, err)
	if detail != "" {
		out.Detail += ". " + detail
	}
	if out.Retry && len(e.refused) > 0 { // not those again
		out.Left, out.Refused = append(e.taken, e.deferred...), e.refused
	}
	return out
}
