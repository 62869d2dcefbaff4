package gopprof

import "errors"

// Error is a refusal or failure with its name. Stages return it where a caller passes the
// name on (metric label, log, reply), so that no stage needs to know another's errors.
type Error struct {
	Reason Reason
	Detail string // for a person; may be empty
	Err    error  // the cause, if there is one to unwrap
}

// Error returns "reason: detail: cause", leaving out what is empty.
func (e *Error) Error() string {
	s := string(e.Reason)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the reason that an error carries, or "" when it carries none.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}
