package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

var problemType = reflect.TypeFor[api.Problem]()

// problem is an api.Problem that huma can answer with.
type problem struct{ api.Problem }

// GetStatus and ContentType are what huma asks of an error.
func (p problem) GetStatus() int            { return p.Status }
func (p problem) ContentType(string) string { return api.ContentTypeProblem }

// MarshalJSON writes the problem itself.
func (p problem) MarshalJSON() ([]byte, error) { return json.Marshal(p.Problem) }

// WriteProblem answers a request with a problem.
func WriteProblem(w http.ResponseWriter, p api.Problem) {
	p = completed(p)
	body, err := json.Marshal(p)
	if err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", api.ContentTypeProblem)
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}

func completed(p api.Problem) api.Problem {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	return p
}

// fail returns the answer to an error of what the API shows. The reason and detail of an
// error are the caller's to read; its cause is not, and an error without a reason is called
// internal. What is not the caller's fault is logged.
func (h handlers) fail(ctx context.Context, doing string, err error) error {
	p := problem{h.problemOf(ctx, doing, err)}
	if p.Status == http.StatusTooManyRequests {
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {h.retryAfter()}})
	}
	return p
}

func (h handlers) problemOf(ctx context.Context, doing string, err error) api.Problem {
	e, ok := errors.AsType[*gopprof.Error](err)
	if !ok || ctx.Err() != nil {
		return h.internal(ctx, doing, err)
	}
	detail := e.Detail
	if detail == "" {
		detail = doing + ": " + string(e.Reason)
	}
	code := api.StatusOf(e.Reason)
	if code >= http.StatusInternalServerError && e.Reason != gopprof.ReasonNoAnswer && e.Reason != gopprof.ReasonPaused {
		h.Log.Error("request failed", zap.String("request", doing), zap.String("reason", string(e.Reason)), zap.Error(err))
	}
	return completed(api.Problem{Status: code, Detail: detail, Reason: e.Reason})
}

func (h handlers) internal(ctx context.Context, doing string, err error) api.Problem {
	if ctx.Err() != nil {
		return completed(api.Problem{Status: http.StatusServiceUnavailable, Detail: doing + ": the request ended first"})
	}
	h.Log.Error("request failed", zap.String("request", doing), zap.Error(err))
	return completed(api.Problem{Status: http.StatusInternalServerError, Detail: doing + " failed; the aggregator's log says why"})
}

// invalid answers a request whose parameter at location makes no sense.
func invalid(status int, location string, value any, message string) error {
	return problem{completed(api.Problem{
		Status: status, Reason: gopprof.ReasonBadInput, Detail: location + ": " + message,
		Errors: []api.ProblemDetail{{Message: message, Location: location, Value: value}},
	})}
}
