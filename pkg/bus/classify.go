package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// classify turns what an exchange with NATS failed with into one of the errors that
// callers branch on. ctx is the exchange's own: its cause knows best.
func classify(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, ErrAway) || errors.Is(cause, ErrRefused) {
			return cause
		}
		return fmt.Errorf("%w: %w", ErrAway, cause)
	}
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api):
		return fmt.Errorf("%w: %w", classifyAPI(api), err)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, nats.ErrPermissionViolation):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

// Codes of nats-server's errors.json that nats.go has no names for.
const (
	codeNoLeader              = 10008
	codeInsufficientResources = 10023
	codeMemoryExceeded        = 10028
	codeStorageExceeded       = 10047
	codeStoreFailed           = 10077
)

func classifyAPI(e *jetstream.APIError) error {
	switch e.ErrorCode {
	case jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return ErrTooLarge
	case codeInsufficientResources, codeMemoryExceeded, codeStorageExceeded:
		return ErrFull
	case codeStoreFailed:
		if strings.Contains(e.Description, "maximum") {
			return ErrFull
		}
	}
	return ErrAway
}

// wrongLastSequence tells whether a publish was refused because the subject holds a
// message already.
func wrongLastSequence(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
