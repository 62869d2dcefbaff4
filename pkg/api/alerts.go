package api

import (
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// AlertsVersion is the version of Alertmanager's webhook that is taken.
const AlertsVersion = "4"

// AlertNotification is the body of POST /api/v1/alerts: what Alertmanager's webhook sends
// (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config), as far as it
// is looked at. Whatever else there is counts for nothing.
type AlertNotification struct {
	_        struct{}        `additionalProperties:"true"`
	Version  string          `json:"version" enum:"4" doc:"Of Alertmanager's webhook."`
	Receiver string          `json:"receiver,omitempty" doc:"Name of the receiver in Alertmanager's configuration."`
	Alerts   []NotifiedAlert `json:"alerts" nullable:"false" minItems:"1" maxItems:"1000" doc:"The alerts of the group."`
}

// The states of an alert as Alertmanager writes them.
const (
	AlertFiring   = "firing"
	AlertResolved = "resolved"
)

// NotifiedAlert is one alert of a notification.
type NotifiedAlert struct {
	_            struct{}          `additionalProperties:"true"`
	Status       string            `json:"status" enum:"firing,resolved"`
	Labels       map[string]string `json:"labels" doc:"They say which alert it is, and which pod is meant."`
	Annotations  map[string]string `json:"annotations,omitempty" doc:"The report repeats them."`
	StartsAt     time.Time         `json:"startsAt" doc:"Since when it fires. With the fingerprint it tells a repetition from another alert."`
	GeneratorURL string            `json:"generatorURL,omitempty" doc:"Where the alert comes from."`
	Fingerprint  string            `json:"fingerprint" minLength:"1" maxLength:"64" doc:"Of the labels, as Alertmanager computes it."`
}

// AlertState says what became of an alert.
type AlertState string

// What may become of an alert.
const (
	AlertAsked     AlertState = "asked"     // captures were asked for, by this notification
	AlertDuplicate AlertState = "duplicate" // they were asked for before
	AlertOver      AlertState = "resolved"  // it has ended: there is nothing to do
	AlertRefused   AlertState = "refused"   // nothing is captured; the reason says why
)

// AlertAnswers is the answer to POST /api/v1/alerts.
type AlertAnswers struct {
	Alerts []AlertAnswer `json:"alerts" doc:"One for each alert, in their order."`
}

// AlertAnswer is what became of one alert.
type AlertAnswer struct {
	Fingerprint string         `json:"fingerprint"`
	State       AlertState     `json:"state" enum:"asked,duplicate,resolved,refused"`
	Reason      gopprof.Reason `json:"reason,omitempty" doc:"Of a refusal: one word of the closed set."`
	Detail      string         `json:"detail,omitempty"`
	Operation   string         `json:"operation,omitempty" doc:"ID of the operation, of alerts that were asked for."`
	// Later tells that what was refused may be asked for in a moment, and Cause is the error,
	// for the log. Neither stands in an answer: whoever notified is told to try again.
	Later bool  `json:"-"`
	Cause error `json:"-"`
}
