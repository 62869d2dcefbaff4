package apiservice

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// longestMessage bounds what an answer says of a failure.
const longestMessage = 2000

// Refuse answers a request that was not let in.
func Refuse(w http.ResponseWriter, _ *http.Request, p api.Problem) {
	writeStatus(w, p.Status, p.Detail)
}

// writeStatus says a failure as an API server does.
func writeStatus(w http.ResponseWriter, code int, message string) {
	writeJSON(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reasonOf(code), Message: profile.Printable(message, longestMessage), //nolint:gosec // an HTTP status
	})
}

func reasonOf(code int) metav1.StatusReason {
	switch code {
	case http.StatusBadRequest:
		return metav1.StatusReasonBadRequest
	case http.StatusUnauthorized:
		return metav1.StatusReasonUnauthorized
	case http.StatusForbidden:
		return metav1.StatusReasonForbidden
	case http.StatusNotFound:
		return metav1.StatusReasonNotFound
	case http.StatusMethodNotAllowed:
		return metav1.StatusReasonMethodNotAllowed
	case http.StatusConflict:
		return metav1.StatusReasonConflict
	case http.StatusUnprocessableEntity:
		return metav1.StatusReasonInvalid
	case http.StatusTooManyRequests:
		return metav1.StatusReasonTooManyRequests
	case http.StatusServiceUnavailable:
		return metav1.StatusReasonServiceUnavailable
	case http.StatusGatewayTimeout:
		return metav1.StatusReasonTimeout
	}
	return metav1.StatusReasonInternalError
}

// fail answers an error of what the API shows. Reason and detail are the caller's to read,
// its cause is not.
func (s *service) fail(ctx context.Context, w http.ResponseWriter, doing string, err error) {
	e, ok := errors.AsType[*gopprof.Error](err)
	code := http.StatusInternalServerError
	if ok {
		code = statusOf(e.Reason)
	}
	if code == http.StatusInternalServerError {
		if ctx.Err() == nil {
			s.Log.Error("request failed", zap.String("request", doing), zap.Error(err))
		}
		writeStatus(w, code, doing+" failed; the aggregator's log says why")
		return
	}
	detail := e.Detail
	if detail == "" {
		detail = doing + ": " + string(e.Reason)
	}
	writeStatus(w, code, detail)
}

func statusOf(r gopprof.Reason) int {
	switch r {
	case gopprof.ReasonUnknown, gopprof.ReasonGone:
		return http.StatusNotFound
	case gopprof.ReasonBadInput:
		return http.StatusBadRequest
	case gopprof.ReasonForbidden:
		return http.StatusForbidden
	case gopprof.ReasonNoAnswer:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // of our own types; the reports in them have been JSON before
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}

func quote(s string) string { return `"` + s + `"` }
