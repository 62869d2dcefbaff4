package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// agentReasons are the words by which agents refuse.
var agentReasons = []gopprof.Reason{
	gopprof.ReasonUnknown, gopprof.ReasonGone, gopprof.ReasonTerminating, gopprof.ReasonNotStarted, gopprof.ReasonInvalidEndpoint,
	gopprof.ReasonCapturing, gopprof.ReasonNodeBusy, gopprof.ReasonContended, gopprof.ReasonExpired, gopprof.ReasonCancelled, gopprof.ReasonPaused,
	gopprof.ReasonForbidden, gopprof.ReasonBadInput, gopprof.ReasonSpoolFull, gopprof.ReasonSpoolFailed, gopprof.ReasonAgentDied, gopprof.ReasonInternal,
	gopprof.ReasonUnreachable, gopprof.ReasonTimeout, gopprof.ReasonRedirected, gopprof.ReasonStatus,
	gopprof.ReasonTooLarge, gopprof.ReasonInvalidProfile, gopprof.ReasonNotEnabled,
	gopprof.ReasonEnded, gopprof.ReasonNoAddress, gopprof.ReasonHostNetwork, gopprof.ReasonAmbiguousContainer, gopprof.ReasonNoContainer,
}

// Refusal is why there will be no capture of a node, as its agent's answer to a request says
// it, or the error where there was none within a time; "" when the agent accepted.
func Refusal(node string, within time.Duration, reply gopprof.CaptureReply, err error) (gopprof.Reason, string) {
	switch {
	case errors.Is(err, bus.ErrInvalid):
		return gopprof.ReasonInternal, err.Error()
	case errors.Is(err, bus.ErrNoAgent):
		return gopprof.ReasonNoAnswer, fmt.Sprintf("no agent answers for node %q", node)
	case WeAreAway(err):
		return gopprof.ReasonNoAnswer, "NATS was away"
	case err != nil:
		return gopprof.ReasonNoAnswer, fmt.Sprintf("the agent of node %q did not answer within %s", node, within)
	case reply.Accepted:
		return "", ""
	case !IsAgentReason(reply.Reason):
		return gopprof.ReasonNoAnswer, fmt.Sprintf("the agent refused without a reason that is known here: %.64q", reply.Reason)
	}
	return reply.Reason, fmt.Sprintf("%.500s", reply.Detail)
}

// IsAgentReason tells whether agents refuse by a word. One by which they do not must not
// become the value of a metric's label.
func IsAgentReason(r gopprof.Reason) bool { return slices.Contains(agentReasons, r) }

// WeAreAway tells whether it was our own connection that failed, and not an agent that did
// not answer in time.
func WeAreAway(err error) bool {
	return errors.Is(err, bus.ErrAway) && !errors.Is(err, context.DeadlineExceeded)
}
