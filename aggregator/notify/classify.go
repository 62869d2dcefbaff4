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

// classify says what an answer means: 2xx is told; 408, 425, 429 and 5xx may pass by
// themselves; every other answer will be the same next time.
func classify(status int, header http.Header, now time.Time) Outcome {
	detail := strconv.Itoa(status) + " " + http.StatusText(status)
	switch {
	case status >= 200 && status < 300:
		return Outcome{}
	case passing(status):
		return Outcome{Reason: gopprof.ReasonStatus, Detail: detail, Retry: true, After: retryAfter(header, now)}
	case status >= 300 && status < 400:
		return Outcome{Reason: gopprof.ReasonRedirected, Detail: detail}
	}
	return Outcome{Reason: gopprof.ReasonStatus, Detail: detail}
}

// passing tells whether an answer says that the same post may be taken later.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// ClassifyError says what a failure before any answer means: all of them may pass.
func ClassifyError(err error) Outcome {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		return Outcome{Reason: gopprof.ReasonTimeout, Detail: err.Error(), Retry: true}
	}
	return Outcome{Reason: gopprof.ReasonUnreachable, Detail: err.Error(), Retry: true}
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
