package app

import (
	"strconv"
	"time"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/aggregator/dispatch/alerts"
	"github.com/gopprof/gopprof/aggregator/dispatch/operations"
	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/aggregator/draw/views"
	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/receive"
	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/ops"
)

// Config is the aggregator's configuration file.
type Config struct {
	// ShutdownTimeout is how long the aggregator may take to finish what it has begun once
	// it is told to stop. What is not finished then is handed out again by NATS.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"`
	// Log says what is logged and how.
	Log ops.LogConfig `yaml:"log"`
	// Status is the aggregator's own port: /livez, /readyz, /metrics.
	Status ops.ServerConfig `yaml:"status"`
	// Serve is the API and the pages.
	Serve serve.Config `yaml:"serve"`
	// NATS is an external NATS; without a URL the embedded server is used.
	NATS bus.Config `yaml:"nats"`
	// Embedded is the embedded NATS server.
	Embedded embedded.Config `yaml:"embedded"`
	// Kubernetes is what the aggregator does for a cluster.
	Kubernetes KubernetesConfig `yaml:"kubernetes"`
	// Streams bounds what NATS keeps.
	Streams bus.StreamConfig `yaml:"streams"`
	// Receive says how captures are taken from NATS.
	Receive receive.Config `yaml:"receive"`
	// Draw says how call graphs are drawn.
	Draw draw.Config `yaml:"draw"`
	// Views bounds the interactive views of pprof, which the pages offer.
	Views views.Config `yaml:"views"`
	// Store says where reports are kept, and how long.
	Store store.Config `yaml:"store"`
	// Dispatch is the budget of captures.
	Dispatch dispatch.Config `yaml:"dispatch"`
	// Operations bounds the captures that people ask for.
	Operations operations.Config `yaml:"operations"`
	// Alerts says what is captured when an alerting system tells of an alert.
	Alerts alerts.Config `yaml:"alerts"`
	// Notify says who is told.
	Notify notify.Config `yaml:"notify"`
}

// DefaultConfig returns what an aggregator does that was told nothing: everything on one
// volume, everything on loopback, nobody told.
func DefaultConfig() Config {
	return Config{
		ShutdownTimeout: 30 * time.Second,
		Log:             ops.DefaultLogConfig(),
		Status:          ops.ServerConfig{Listen: "127.0.0.1:9394"},
		Serve:           serve.DefaultConfig(),
		NATS:            bus.DefaultConfig(),
		Embedded:        embedded.DefaultConfig(),
		Kubernetes:      defaultKubernetesConfig(),
		Streams:         bus.DefaultStreamConfig(),
		Receive:         receive.DefaultConfig(),
		Draw:            draw.DefaultConfig(),
		Views:           views.DefaultConfig(),
		Store:           store.DefaultConfig(),
		Dispatch:        dispatch.DefaultConfig(),
		Operations:      operations.DefaultConfig(),
		Alerts:          alerts.DefaultConfig(),
		Notify:          notify.DefaultConfig(),
	}
}

// LoadConfig reads the file at path over the defaults; mistakes come all at once, as
// config.Errors.
func LoadConfig(path string) (Config, error) {
	c := DefaultConfig()
	if err := config.Load(path, &c); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Check reports what the stages cannot see each by itself.
func (c Config) Check(report func(key, problem string)) {
	c.checkKubernetes(report)
	if c.ShutdownTimeout <= 0 {
		report("shutdown_timeout", "must be above 0")
	}
	if c.NATS.URL == "" {
		c.checkEmbedded(report)
	}
	if c.Notify.GiveUpAfter >= c.Streams.ReportsMaxAge {
		report("notify.give_up_after", "must be shorter than streams.reports_max_age, when reports leave the stream")
	} else if c.Notify.Longest() >= c.Streams.ReportsMaxAge {
		report("notify.routes", "no time of a route may be as long as streams.reports_max_age, when records of what is to be told are forgotten")
	}
	if c.Receive.DrainTimeout >= c.ShutdownTimeout && c.ShutdownTimeout > 0 {
		report("receive.drain_timeout", "must be shorter than shutdown_timeout, or captures are not given back before the end")
	}
	if drawn := time.Duration(len(gopprof.Kinds())-1) * c.Draw.Timeout; drawn >= c.Receive.HandleTimeout { // a trace is not drawn
		report("draw.timeout", "must be so short that receive.handle_timeout holds "+strconv.Itoa(len(gopprof.Kinds())-1)+
			" of them: a capture whose every drawing takes too long would be tried again for ever")
	}
	if 2*c.Views.Timeout >= c.Serve.RequestTimeout {
		report("views.timeout", "must be shorter than half of serve.request_timeout, or nobody hears that a page, or those before it, took too long")
	}
	if c.Receive.InProgressInterval >= c.Streams.AckWait/2 {
		report("receive.in_progress_interval", "must be below half of streams.ack_wait, or captures are handed out twice")
	}
}

// checkEmbedded reports what the embedded server would refuse when it starts.
func (c Config) checkEmbedded(report func(key, problem string)) {
	if need := c.Streams.Bytes(); need > c.Embedded.StoreBytes {
		report("embedded.store_bytes", "must hold all that streams allows together: "+strconv.FormatInt(need, 10))
	}
	if c.Streams.Replicas != 1 {
		report("streams.replicas", "must be 1 on the embedded server, which is alone")
	}
}
