package gopprof

// Reason is the name of a refusal or failure. The set is closed: the same word stands in
// the log, the metric label, the API and the report.
type Reason string

// Why a target was not profiled, or why taking, sending or keeping a profile failed.
const (
	// judge
	ReasonFired          Reason = "fired"           // not a refusal: the rule fired
	ReasonNoReadings     Reason = "no_readings"     // windows are missing or covered by less than four fifths
	ReasonNoLimit        Reason = "no_limit"        // no limit to compare with
	ReasonBelowThreshold Reason = "below_threshold" // the newest window is not above
	ReasonOneWindow      Reason = "one_window"      // the newest window is above, the ones before are not
	ReasonNotRearmed     Reason = "not_rearmed"     // fired before and has not been below the re-arm level since
	ReasonCooldown       Reason = "cooldown"        // fired before, a moment ago
	ReasonCapturing      Reason = "capturing"       // a capture of this target is running
	ReasonRuleOff        Reason = "rule_off"        // the target's owner chose other rules
	// discover
	ReasonTerminating        Reason = "terminating"         // the pod is being deleted
	ReasonNotStarted         Reason = "not_started"         // the container is not running yet
	ReasonGone               Reason = "gone"                // target or cgroup vanished; of a message, its receiver did
	ReasonInvalidEndpoint    Reason = "invalid_endpoint"    // scheme, host, port or path that may leave the target
	ReasonEnded              Reason = "ended"               // the pod has run to its end
	ReasonNoAddress          Reason = "no_address"          // the pod has no IP address yet
	ReasonHostNetwork        Reason = "host_network"        // the pod shares the node's network, and the agent was not told to dial there
	ReasonNoContainer        Reason = "no_container"        // the pod has no container of the name given
	ReasonAmbiguousContainer Reason = "ambiguous_container" // several containers could be meant, and none is named
	// dispatch and gates
	ReasonBudget    Reason = "budget"    // enough captures of this workload, or in all
	ReasonPaused    Reason = "paused"    // somebody switched all profiling off
	ReasonNodeBusy  Reason = "node_busy" // the node's bounded number of captures is running
	ReasonContended Reason = "contended" // somebody else holds the target's CPU profiler
	ReasonExpired   Reason = "expired"   // the trigger's lifetime ended before the work could start
	ReasonCancelled Reason = "cancelled" // by request, or by shutdown
	ReasonUnknown   Reason = "unknown"   // no such target here
	ReasonNoAnswer  Reason = "no_answer" // the agent, the aggregator or NATS did not answer in time
	ReasonForbidden Reason = "forbidden" // the caller may not do this
	ReasonBadInput  Reason = "bad_input" // the request makes no sense; the detail says why
	ReasonNoTarget  Reason = "no_target" // the alert's labels name no pod and no workload
	ReasonOwnAlert  Reason = "own_alert" // the alert is one that gopprof sent itself
	ReasonInternal  Reason = "internal"  // a failure that has no name of its own: a defect of gopprof, please report it
	// take
	ReasonUnreachable    Reason = "unreachable"     // no connection to the endpoint
	ReasonTimeout        Reason = "timeout"         // the endpoint did not finish in time; of a capture, its handling did not
	ReasonRedirected     Reason = "redirected"      // the endpoint answered with a redirect, which is never followed
	ReasonStatus         Reason = "status"          // the endpoint answered with an HTTP error; the detail has it
	ReasonTooLarge       Reason = "too_large"       // more bytes than allowed, compressed or not
	ReasonInvalidProfile Reason = "invalid_profile" // not a pprof profile of the kind asked for
	ReasonNotEnabled     Reason = "not_enabled"     // mutex or block profile whose rate is 0
	// publish, receive, store
	ReasonAgentDied   Reason = "agent_died"   // the agent was killed, or ended, with the firing or the capture in hand
	ReasonSpoolFull   Reason = "spool_full"   // dropped from the spool at its bound, oldest first
	ReasonSpoolTorn   Reason = "spool_torn"   // a spool entry that a crash cut short, or that was changed
	ReasonSpoolFailed Reason = "spool_failed" // the disk of the spool or of state_dir is full, failing or slow; the detail says which
	ReasonNATSFull    Reason = "nats_full"    // a stream or bucket of NATS is at its bound and takes nothing new
	ReasonBytesLost   Reason = "bytes_lost"   // the capture's chunks are not in NATS any more
	ReasonBytesWrong  Reason = "bytes_wrong"  // size or sha256 differ from what the capture names
	ReasonUndecodable Reason = "undecodable"  // a message that is not what its subject says
	ReasonImposter    Reason = "imposter"     // body and subject name different nodes
	ReasonWorkerDied  Reason = "worker_died"  // the capture killed its worker, again and again
	ReasonStoreFailed Reason = "store_failed" // the blob store refused or failed
	ReasonDrawFailed  Reason = "draw_failed"  // no call graph; the detail says why
	// the pprof views
	ReasonViewsFull  Reason = "views_full"  // as many views are open, or wait for one, as may be
	ReasonViewFailed Reason = "view_failed" // the view's process died, or cannot make the page; the detail says why
	// the series
	ReasonSeriesStale       Reason = "series_stale"       // the newest point is too old
	ReasonSeriesAbsent      Reason = "series_absent"      // no point for this container
	ReasonSeriesUnreachable Reason = "series_unreachable" // InfluxDB failed; the detail says how
	ReasonSeriesAbsurd      Reason = "series_absurd"      // only values that cannot be true
	ReasonSeriesOff         Reason = "series_off"         // no series configured, or the policy does not ask
)
