package notify

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxRetryAfter bounds what a receiver may ask for.
const maxRetryAfter = time.Hour

// outcome is what became of a post. The zero outcome is: told.
type outcome struct {
	reason gopprof.Reason // empty when told
	detail string
	retry  bool          // else given up
	after  time.Duration // least pause that the receiver asks for
}

// classify says what an answer means: 2xx is told; 408, 425, 429 and 5xx may pass by
// themselves; every other answer will be the same next time.
func classify(status int, header http.Header, now time.Time) outcome {
	detail := strconv.Itoa(status) + " " + http.StatusText(status)
	switch {
	case status >= 200 && status < 300:
		return outcome{}
	case passing(status):
		return outcome{reason: gopprof.ReasonStatus, detail: detail, retry: true, after: retryAfter(header, now)}
	case status >= 300 && status < 400:
		return outcome{reason: gopprof.ReasonRedirected, detail: detail}
	}
	return outcome{reason: gopprof.ReasonStatus, detail: detail}
}

// passing tells whether an answer says that the same post may be taken later.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// classifyError says what a failure before any answer means: all of them may pass.
func classifyError(err error) outcome {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		return outcome{reason: gopprof.ReasonTimeout, detail: err.Error(), retry: true}
	}
	return outcome{reason: gopprof.ReasonUnreachable, detail: err.Error(), retry: true}
}

// retryAfter reads the header of RFC 9110, 10.2.3: seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	var d time.Duration
	if s, err := strconv.ParseInt(v, 10, 32); err == nil {
		d = time.Duration(s) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
