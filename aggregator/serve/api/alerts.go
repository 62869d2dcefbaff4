package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// maxAlertsBytes bounds a notification: a thousand alerts of usual size.
const maxAlertsBytes = 1 << 20

type alertsInput struct{ Body api.AlertNotification }

type alertsOutput struct {
	Status int
	Body   api.AlertAnswers
}

func (h handlers) registerAlerts(a huma.API) {
	o := operation(a, huma.Operation{
		OperationID: "take-alerts", Method: http.MethodPost, Path: api.PathAlerts, DefaultStatus: http.StatusAccepted,
		Summary: "Profile the pods that alerts are about",
		Description: "Alertmanager's webhook, version 4. Answers at once: with 202 when captures were asked for, with 200 when there is nothing to do " +
			"(repetitions, alerts that have ended, refusals that stay). What may succeed later is 503, and nothing is asked for twice then.",
	})
	o.MaxBodyBytes = maxAlertsBytes
	o.Responses["200"] = &huma.Response{Description: "There is nothing to do",
		Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/AlertAnswers"}}}}
	huma.Register(a, o, h.alerts)
}

func (h handlers) alerts(ctx context.Context, in *alertsInput) (*alertsOutput, error) {
	out := &alertsOutput{Status: http.StatusOK, Body: api.AlertAnswers{Alerts: h.Alerts.Alerts(ctx, in.Body)}}
	var later []api.ProblemDetail
	for i, a := range out.Body.Alerts {
		if a.State == api.AlertAsked {
			out.Status = http.StatusAccepted
		}
		if a.Later {
			later = append(later, api.ProblemDetail{Location: fmt.Sprintf("body.alerts[%d]", i), Message: string(a.Reason) + ": " + a.Detail})
		}
	}
	h.logAlerts(in.Body.Receiver, out.Body.Alerts)
	if len(later) == 0 {
		return out, nil
	}
	// One of them is enough for another try: Alertmanager repeats nothing but 5xx, and those that
	// were asked for are duplicates then.
	p := problem{completed(api.Problem{Status: http.StatusServiceUnavailable, Reason: reasonOf(out.Body.Alerts), Errors: later,
		Detail: fmt.Sprintf("%d of %d alerts could not be acted on now: send the notification again", len(later), len(in.Body.Alerts))})}
	return nil, huma.ErrorWithHeaders(p, http.Header{"Retry-After": {h.retryAfter()}})
}

// logAlerts writes one line for a notification whose alerts were not all acted on; what is
// asked for leaves a line where it is done.
func (h handlers) logAlerts(receiver string, answers []api.AlertAnswer) {
	var refused []api.AlertAnswer
	for _, a := range answers {
		if a.State == api.AlertRefused && a.Reason != gopprof.ReasonOwnAlert { // nobody's fault
			refused = append(refused, a)
		}
	}
	if len(refused) == 0 {
		return
	}
	h.Log.Warn("alerts refused", zap.String("receiver", profile.Printable(receiver, 200)), zap.Int("alerts", len(answers)), zap.Int("refused", len(refused)),
		zap.String("fingerprint", refused[0].Fingerprint), zap.String("reason", string(refused[0].Reason)), zap.Error(refused[0].Cause))
}

// reasonOf is the first reason for which a notification is to be sent again.
func reasonOf(answers []api.AlertAnswer) gopprof.Reason {
	for _, a := range answers {
		if a.Later {
			return a.Reason
		}
	}
	return ""
}
