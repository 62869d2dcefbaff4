package notify

import (
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Why a report is told to nobody: values of a metric's label.
const (
	silentContradicted = "contradicted"
	silentTrigger      = "trigger"
	silentNoReceiver   = "no_receiver"
)

// route returns the receivers of a report, or why there are none.
func route(c Config, r gopprof.Report) (receivers []string, silence string) {
	way := c.Default
	if i := slices.IndexFunc(c.Routes, func(x Route) bool { return x.Owner == r.Capture.Target.Owner }); i >= 0 {
		way = c.Routes[i]
	}
	told := way.Triggers
	if len(told) == 0 {
		told = toldByDefault
	}
	switch {
	case len(way.Receivers) == 0:
		return nil, silentNoReceiver
	case !slices.Contains(told, r.Capture.Trigger.Kind):
		return nil, silentTrigger
	case r.Capture.Agreement.Result == gopprof.AgreementContradicted && !way.Contradicted:
		return nil, silentContradicted
	}
	return way.Receivers, ""
}
