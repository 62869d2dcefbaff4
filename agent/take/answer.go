package take

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"unicode"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// refusal names an answer that is not 200.
func refusal(resp *http.Response) error {
	if resp.StatusCode/100 == 3 {
		return &Error{Reason: gopprof.ReasonRedirected, Detail: fmt.Sprintf("answered %d to %q", resp.StatusCode, clean(resp.Header.Get("Location")))}
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1024)) // what came of it is enough
	line := clean(string(text))
	if inUse(resp, line) {
		return &Error{Reason: gopprof.ReasonContended, Detail: line, Err: errContended}
	}
	return &Error{Reason: gopprof.ReasonStatus, Detail: strings.TrimSpace(fmt.Sprintf("answered %d: %s", resp.StatusCode, line))}
}

// inUse recognises net/http/pprof's answer while another CPU profile or trace runs.
func inUse(resp *http.Response, text string) bool {
	return resp.StatusCode == http.StatusInternalServerError && resp.Header.Get("X-Go-Pprof") != "" &&
		(strings.Contains(text, "already in use") || strings.Contains(text, "already enabled"))
}

// classify gives a failed request its name.
func classify(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return cancelled()
	case gopprof.ReasonOf(err) != "":
		return err
	case notDialled(err): // also in time-outs of the dialler, which are not the profile's
		return &Error{Reason: gopprof.ReasonUnreachable, Err: brief{err}}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Reason: gopprof.ReasonTimeout, Err: brief{err}}
	}
	return &Error{Reason: gopprof.ReasonUnreachable, Err: brief{err}}
}

// brief is an error that may quote what a target sent, as net/http's do with a whole header. It
// says the same in a few words that can be printed.
type brief struct{ err error }

func (b brief) Error() string { return clean(b.err.Error()) }

func (b brief) Unwrap() error { return b.err }

// notDialled tells whether no connection came about at all.
func notDialled(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// validate runs the validator, which reads foreign bytes: a panic of it is the profile's
// fault.
func (j *job) validate(k gopprof.Kind, data []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Reason: gopprof.ReasonInvalidProfile, Detail: clean(fmt.Sprint("validator panicked: ", p))}
		}
	}()
	if len(data) == 0 {
		return &Error{Reason: gopprof.ReasonInvalidProfile, Detail: "empty"}
	}
	select {
	case j.t.reading <- struct{}{}:
		defer func() { <-j.t.reading }()
	case <-j.ctx.Done():
		return cancelled()
	}
	err = j.t.deps.Validate(k, data)
	if err == nil || gopprof.ReasonOf(err) != "" {
		return err
	}
	return &Error{Reason: profile.ReasonOf(err), Err: brief{err}}
}

// detailOf is what an error says beside its reason.
func detailOf(err error) string {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return clean(err.Error())
	case e.Detail != "":
		return clean(e.Detail)
	case e.Err != nil:
		return clean(e.Err.Error())
	}
	return ""
}

// clean makes foreign text fit for one line of a log or report.
func clean(s string) string {
	const most = 200
	out := make([]rune, 0, min(len(s), most))
	for _, r := range strings.ToValidUTF8(s, "?") {
		if len(out) == most {
			return string(out) + "…"
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		out = append(out, r)
	}
	return strings.TrimSpace(string(out))
}
