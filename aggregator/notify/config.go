package notify

import (
	"slices"
	"strconv"
	"time"

	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The channels that a receiver may have.
const (
	ChannelWebhook = "webhook"
	ChannelSlack   = "slack"
)

// Config says who is told of which reports, and how stubbornly.
type Config struct {
	// Receivers are the places that messages go to.
	Receivers []Receiver `yaml:"receivers"`
	// Routes say which receivers are told, by the owner of the profiled target (annotation
	// gopprof.io/owner, or owner of a static target). The first route of that owner counts.
	Routes []Route `yaml:"routes"`
	// Default is the route of every owner without one, and of targets without owner. With no
	// receivers there, they are told to nobody (and can still be found in the list).
	Default Route `yaml:"default"`
	// Timeout is how long one post may take in all.
	Timeout time.Duration `yaml:"timeout"`
	// AtOnce is the most posts to one receiver that run at the same time.
	AtOnce int `yaml:"at_once"`
	// RetryFirst is the pause after a first failure; it doubles with each further one. A
	// longer Retry-After of the receiver is kept to.
	RetryFirst time.Duration `yaml:"retry_first"`
	// RetryMost is the longest pause between two attempts.
	RetryMost time.Duration `yaml:"retry_most"`
	// GiveUpAfter is the time after the first attempt at which a message is given up. It must
	// be shorter than the age at which reports leave the stream (14 days).
	GiveUpAfter time.Duration `yaml:"give_up_after"`
}

// Receiver is one place that messages go to.
type Receiver struct {
	// Name is what routes call it: lower-case letters, digits and dashes. Renaming a receiver
	// tells it again what was told under its old name lately.
	Name string `yaml:"name"`
	// Channel is the format: webhook (the report as a CloudEvent in JSON) or slack (Slack's
	// incoming webhooks, and what understands their format).
	Channel string `yaml:"channel"`
	// URL is where to post to, when the address is no secret. Redirects are not followed.
	URL string `yaml:"url"`
	// URLFile holds the URL when the address is the secret, as with Slack. It is read at each
	// post.
	URLFile config.SecretFile `yaml:"url_file"`
	// BearerFile holds a token to send as "Authorization: Bearer …"; none when empty.
	BearerFile config.SecretFile `yaml:"bearer_file"`
}

// Route says what of an owner's reports is told to whom.
type Route struct {
	// Owner is the owner whose reports take this route. Left out in default.
	Owner string `yaml:"owner"`
	// Receivers are the names of those told. Empty tells nobody.
	Receivers []string `yaml:"receivers"`
	// Contradicted tells also reports whose second witness contradicted the first. They are
	// stored in any case.
	Contradicted bool `yaml:"contradicted"`
	// Triggers are the triggers of which reports are told: rule, alert, manual, sibling.
	// Empty is rule and alert: who asks by hand looks at the answer anyway.
	Triggers []gopprof.TriggerKind `yaml:"triggers"`
}

// DefaultConfig returns the configuration of an aggregator that was told nothing: nobody
// is told anything.
func DefaultConfig() Config {
	return Config{
		Timeout: 10 * time.Second, AtOnce: 4,
		RetryFirst: 5 * time.Second, RetryMost: 10 * time.Minute,
		GiveUpAfter: 24 * time.Hour,
	}
}

// Check reports every setting that makes no sense.
func (c Config) Check(report func(key, problem string)) {
	between := func(key string, d, least, most time.Duration) {
		if d < least || d > most {
			report(key, "must be from "+least.String()+" to "+most.String())
		}
	}
	between("timeout", c.Timeout, 100*time.Millisecond, time.Minute)
	between("retry_first", c.RetryFirst, 10*time.Millisecond, time.Hour)
	between("retry_most", c.RetryMost, c.RetryFirst, 24*time.Hour)
	between("give_up_after", c.GiveUpAfter, time.Second, 13*24*time.Hour)
	if c.AtOnce < 1 || c.AtOnce > 100 {
		report("at_once", "must be from 1 to 100")
	}
	c.checkNames(report)
	if c.Default.Owner != "" {
		report("default.owner", "the default route has no owner")
	}
}

// checkNames reports receivers named twice or not at all, and routes to nowhere.
func (c Config) checkNames(report func(key, problem string)) {
	known := map[string]bool{}
	for i, r := range c.Receivers {
		if known[r.Name] {
			report(at("receivers", i)+".name", strconv.Quote(r.Name)+" is the name of another receiver already")
		}
		known[r.Name] = true
	}
	owners := map[string]bool{}
	for i, r := range c.Routes {
		if r.Owner == "" {
			report(at("routes", i)+".owner", "an owner must be named; reports without owner take the default route")
		} else if owners[r.Owner] {
			report(at("routes", i)+".owner", "the owner has a route already")
		}
		owners[r.Owner] = true
		r.checkReceivers(at("routes", i), known, report)
	}
	c.Default.checkReceivers("default", known, report)
}

func (r Route) checkReceivers(key string, known map[string]bool, report func(key, problem string)) {
	for i, name := range r.Receivers {
		if !known[name] {
			report(key+"."+at("receivers", i), "no receiver is named "+strconv.Quote(name))
		}
	}
}

// Check reports every trigger that does not exist.
func (r Route) Check(report func(key, problem string)) {
	for i, t := range r.Triggers {
		if !slices.Contains(triggers, t) {
			report(at("triggers", i), strconv.Quote(string(t))+" is none of rule, alert, manual, sibling")
		}
	}
}

// Check reports every setting that makes no sense.
func (r Receiver) Check(report func(key, problem string)) {
	if !receiverName.MatchString(r.Name) {
		report("name", "must be lower-case letters, digits and dashes, 63 at most")
	}
	if r.Channel != ChannelWebhook && r.Channel != ChannelSlack {
		report("channel", strconv.Quote(r.Channel)+" is neither webhook nor slack")
	}
	switch {
	case r.URL == "" && r.URLFile == "":
		report("url_file", "url or url_file must be given")
	case r.URL != "" && r.URLFile != "":
		report("url_file", "url is given as well: one of them")
	case r.URL != "" && checkURL(r.URL) != nil:
		report("url", checkURL(r.URL).Error())
	}
}

func at(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }
