package dispatch

import (
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// agentReasons are the words by which agents refuse.
var agentReasons = []gopprof.Reason{
	gopprof.ReasonUnknown, gopprof.ReasonGone, gopprof.ReasonTerminating, gopprof.ReasonNotStarted, gopprof.ReasonInvalidEndpoint,
	gopprof.ReasonCapturing, gopprof.ReasonNodeBusy, gopprof.ReasonContended, gopprof.ReasonExpired, gopprof.ReasonCancelled, gopprof.ReasonPaused,
	gopprof.ReasonForbidden, gopprof.ReasonBadInput, gopprof.ReasonSpoolFull, gopprof.ReasonSpoolFailed, gopprof.ReasonInternal,
	gopprof.ReasonUnreachable, gopprof.ReasonTimeout, gopprof.ReasonRedirected, gopprof.ReasonStatus,
	gopprof.ReasonTooLarge, gopprof.ReasonInvalidProfile, gopprof.ReasonNotEnabled,
	gopprof.ReasonEnded, gopprof.ReasonNoAddress, gopprof.ReasonHostNetwork, gopprof.ReasonAmbiguousContainer, gopprof.ReasonNoContainer,
}

// IsAgentReason tells whether agents refuse by a word. One by which they do not must not
// become the value of a metric's label.
func IsAgentReason(r gopprof.Reason) bool { return slices.Contains(agentReasons, r) }
