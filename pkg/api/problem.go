package api

import (
	"fmt"
	"net/http"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// ContentTypeProblem is the media type of Problem (RFC 9457).
const ContentTypeProblem = "application/problem+json"

// Problem is the body of every answer with a status of 400 and above.
type Problem struct {
	Type   string          `json:"type,omitempty"`
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Detail string          `json:"detail" doc:"What is wrong and, where it helps, what to do."`
	Reason gopprof.Reason  `json:"reason,omitempty" doc:"One word of the closed set that log, metrics and reports use too."`
	Errors []ProblemDetail `json:"errors,omitempty" doc:"Each mistake of the request, when there may be several."`
}

// ProblemDetail is one mistake of a request.
type ProblemDetail struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty" doc:"Where: query.limit, path.kind, body.kinds[1] …"`
	Value    any    `json:"value,omitempty"`
}

// Error makes a Problem what a client returns for it.
func (p Problem) Error() string {
	s := fmt.Sprintf("%s (%d)", p.Detail, p.Status)
	for _, e := range p.Errors {
		s += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	return s
}

// StatusOf returns the HTTP status of what is refused for a reason.
func StatusOf(r gopprof.Reason) int {
	switch r {
	case gopprof.ReasonUnknown, gopprof.ReasonGone:
		return http.StatusNotFound
	case gopprof.ReasonBadInput:
		return http.StatusUnprocessableEntity
	case gopprof.ReasonForbidden:
		return http.StatusForbidden
	case gopprof.ReasonBudget:
		return http.StatusTooManyRequests
	case gopprof.ReasonPaused, gopprof.ReasonNATSFull:
		return http.StatusServiceUnavailable
	case gopprof.ReasonNoAnswer:
		return http.StatusGatewayTimeout
	case gopprof.ReasonStoreFailed:
		return http.StatusBadGateway
	case gopprof.ReasonInternal:
		return http.StatusInternalServerError
	}
	return http.StatusConflict
}
