package show

import "github.com/gopprof/gopprof/pkg/gopprof"

// Words says a reason in words, and what to do where there is something to do. A reason that
// this version does not know is its own word.
func Words(r gopprof.Reason) string {
	if s, ok := words()[r]; ok {
		return s
	}
	return string(r)
}

// Because writes a reason with the detail that came with it.
func Because(r gopprof.Reason, detail string) string {
	switch {
	case r == "":
		return detail
	case detail == "":
		return Words(r) + " (" + string(r) + ")"
	}
	return string(r) + ": " + detail
}

func words() map[gopprof.Reason]string {
	return map[gopprof.Reason]string{
		gopprof.ReasonFired:          "fired",
		gopprof.ReasonNoReadings:     "not enough readings yet",
		gopprof.ReasonNoLimit:        "no limit to compare with: set one on the container",
		gopprof.ReasonBelowThreshold: "below its threshold",
		gopprof.ReasonOneWindow:      "hot, but not for long enough yet",
		gopprof.ReasonNotRearmed:     "fired before, and has not been quiet since",
		gopprof.ReasonCooldown:       "in its cooldown",
		gopprof.ReasonCapturing:      "is being profiled now",
		gopprof.ReasonRuleOff:        "off: the owner chose other rules",

		gopprof.ReasonTerminating:        "the pod is being deleted",
		gopprof.ReasonNotStarted:         "the container is not running yet",
		gopprof.ReasonGone:               "is gone",
		gopprof.ReasonInvalidEndpoint:    "the pprof endpoint leads away from the pod: correct its annotations",
		gopprof.ReasonEnded:              "the pod has run to its end",
		gopprof.ReasonNoAddress:          "the pod has no address yet",
		gopprof.ReasonHostNetwork:        "the pod shares its node's network, where the agent was not told to dial",
		gopprof.ReasonNoContainer:        "the pod has no such container: correct the annotation gopprof.io/container",
		gopprof.ReasonAmbiguousContainer: "several containers could be meant: name one by --container or the annotation gopprof.io/container",

		gopprof.ReasonBudget:    "enough is being captured, or was a moment ago: try again later",
		gopprof.ReasonPaused:    "all profiling is switched off: `resume` switches it on",
		gopprof.ReasonNodeBusy:  "the node takes as many profiles as it may already: try again in a moment",
		gopprof.ReasonContended: "somebody else holds the program's CPU profiler",
		gopprof.ReasonExpired:   "its turn did not come in time",
		gopprof.ReasonCancelled: "cancelled",
		gopprof.ReasonUnknown:   "no such target",
		gopprof.ReasonNoAnswer:  "the node's agent did not answer in time",
		gopprof.ReasonForbidden: "you may not do this",
		gopprof.ReasonBadInput:  "the request makes no sense",
		gopprof.ReasonNoTarget:  "the alert's labels name no pod and no workload",
		gopprof.ReasonOwnAlert:  "an alert that gopprof sent itself",
		gopprof.ReasonInternal:  "a defect of gopprof: please report it",

		gopprof.ReasonUnreachable:    "nothing listens at the pprof endpoint: check its port",
		gopprof.ReasonTimeout:        "the pprof endpoint did not finish in time",
		gopprof.ReasonRedirected:     "the pprof endpoint sends elsewhere, which is never followed",
		gopprof.ReasonStatus:         "the pprof endpoint answered with an error",
		gopprof.ReasonTooLarge:       "more bytes than allowed",
		gopprof.ReasonInvalidProfile: "what the endpoint sent is not a profile of this kind",
		gopprof.ReasonNotEnabled:     "not enabled: the program must set its mutex or block profile rate",

		gopprof.ReasonAgentDied:   "the node's agent ended while it took it: try again",
		gopprof.ReasonSpoolFull:   "dropped: the agent's disk space for captures was full",
		gopprof.ReasonSpoolTorn:   "lost to a crash of the agent",
		gopprof.ReasonSpoolFailed: "the agent's disk is full, failing or slow",
		gopprof.ReasonNATSFull:    "NATS is full",
		gopprof.ReasonBytesLost:   "its bytes are not in NATS any more",
		gopprof.ReasonBytesWrong:  "its bytes are not what was sent",
		gopprof.ReasonUndecodable: "a message that cannot be read",
		gopprof.ReasonImposter:    "a message in the name of another node",
		gopprof.ReasonWorkerDied:  "it killed its worker, again and again",
		gopprof.ReasonStoreFailed: "the store refused or failed",
		gopprof.ReasonDrawFailed:  "no call graph could be drawn",

		gopprof.ReasonViewsFull:  "as many pprof views are open as may be: try again in a moment",
		gopprof.ReasonViewFailed: "the pprof view failed",

		gopprof.ReasonSeriesStale:       "the series are too old",
		gopprof.ReasonSeriesAbsent:      "the series do not know this container",
		gopprof.ReasonSeriesUnreachable: "InfluxDB did not answer",
		gopprof.ReasonSeriesAbsurd:      "the series hold values that cannot be true",
		gopprof.ReasonSeriesOff:         "no series are asked",
	}
}
