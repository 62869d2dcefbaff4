package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
)

// The exit codes, as `--help` documents them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitUnreachable = 4
	exitLimited     = 5
	exitInterrupted = 130 // 128 and SIGINT, as shells have it
)

// errSaid ends a command whose failure was shown already.
var errSaid = errors.New("not everything succeeded")

// usageError is a command line that makes no sense.
type usageError struct{ error }

// Unwrap returns what is wrong.
func (e usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode reads how a command ended.
func (c *commands) exitCode(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	if _, ok := errors.AsType[usageError](err); ok || !c.started {
		return exitUsage // what cobra refused did not start
	}
	switch client.SortOf(err) {
	case client.Unreachable:
		return exitUnreachable
	case client.Refused:
		return exitRefused
	case client.Limited:
		return exitLimited
	case client.Invalid:
		return exitUsage
	}
	return exitFailed
}
