package serve

import (
	"context"
	"errors"
	"fmt"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// Alerts asks, in the caller's name, for what the alerts of a notification mean. Each is
// looked at, whatever became of those before it.
func (s scope) Alerts(ctx context.Context, n api.AlertNotification) []api.AlertAnswer {
	answers, acted := make([]api.AlertAnswer, 0, len(n.Alerts)), 0
	for _, a := range n.Alerts {
		answer := s.alert(ctx, n.Receiver, a, &acted)
		answer.Fingerprint = profile.Printable(a.Fingerprint, longestWho)
		s.metrics.alerts.WithLabelValues(string(answer.State), string(answer.Reason)).Inc()
		answers = append(answers, answer)
	}
	return answers
}

// alert is what becomes of one alert; acted counts those that were asked for, now or before.
func (s scope) alert(ctx context.Context, receiver string, a api.NotifiedAlert, acted *int) api.AlertAnswer {
	if a.Status == api.AlertResolved {
		return api.AlertAnswer{State: api.AlertOver}
	}
	if s.deps.Alerts == nil {
		return refusedAlert(&gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "alerts are not taken here"})
	}
	m, err := s.deps.Alerts.Asks(receiver, a)
	if err != nil {
		return refusedAlert(err)
	}
	auth.About(ctx, m.Namespace, m.Alert.Name)
	if m, err = s.named(ctx, m); err != nil {
		return refusedAlert(err)
	}
	if most := s.deps.Alerts.MostAtOnce(); *acted >= most {
		answer := refusedAlert(&gopprof.Error{Reason: gopprof.ReasonBudget,
			Detail: fmt.Sprintf("the first %d alerts of a notification are acted on, and this is a further one: alerts.max_per_notification", most)})
		answer.Later = false // it would be a further one again
		return answer
	}
	op, before, err := s.deps.Captures.CaptureOnce(ctx, m)
	switch {
	case err != nil:
		return refusedAlert(err)
	case before:
		*acted++
		return api.AlertAnswer{State: api.AlertDuplicate, Operation: op.ID}
	}
	*acted++
	return api.AlertAnswer{State: api.AlertAsked, Operation: op.ID}
}

// refusedAlert passes on why nothing is captured. What has no name is a failure of ours, and
// its cause is nobody's to read.
func refusedAlert(err error) api.AlertAnswer {
	e, ok := errors.AsType[*gopprof.Error](err)
	if !ok {
		e = &gopprof.Error{Reason: gopprof.ReasonInternal, Detail: "the captures could not be asked for; the aggregator's log says why"}
	}
	return api.AlertAnswer{State: api.AlertRefused, Reason: e.Reason, Detail: e.Detail, Later: maySucceedLater(e.Reason), Cause: err}
}

// maySucceedLater tells whether the same alert may be taken in a moment: the queue is full,
// or we or NATS failed. Everything else stays as it is until somebody changes something, and
// the alert's next repetition tries again anyway.
func maySucceedLater(r gopprof.Reason) bool {
	switch r {
	case gopprof.ReasonInternal, gopprof.ReasonBudget, gopprof.ReasonNoAnswer, gopprof.ReasonNATSFull:
		return true
	}
	return false
}
