package notify

import (
	"slices"
	"strconv"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/matcher"
)

// The channels that a receiver may have.
const (
	ChannelWebhook      = "webhook"
	ChannelSlack        = "slack"
	ChannelDingTalk     = "dingtalk"
	ChannelFeishu       = "feishu"
	ChannelWeCom        = "wecom"
	ChannelTeams        = "teams"
	ChannelEmail        = "email"
	ChannelAlertmanager = "alertmanager"
)

// ChannelNames lists every channel.
func ChannelNames() []string {
	return []string{ChannelWebhook, ChannelSlack, ChannelDingTalk, ChannelFeishu, ChannelWeCom, ChannelTeams, ChannelEmail, ChannelAlertmanager}
}

// signing are the channels that sign with a secret of their own.
func signing(channel string) bool {
	return channel == ChannelWebhook || channel == ChannelDingTalk || channel == ChannelFeishu
}

// Config says who is told of which reports, and how stubbornly.
type Config struct {
	// Receivers are the places that messages go to.
	Receivers []Receiver `yaml:"receivers"`
	// Routes say which receivers are told, by the owner of the profiled target (annotation
	// gopprof.io/owner, or owner of a static target) or by any other of a report's labels. The
	// first that matches counts.
	Routes []Route `yaml:"routes"`
	// Default is the route of what no other matches. With no receivers there, such reports are
	// told to nobody (and can still be found in the list).
	Default Telling `yaml:"default"`
	// Timeout is how long one post may take in all.
	Timeout time.Duration `yaml:"timeout"`
	// AtOnce is the most posts to one receiver that run at the same time.
	AtOnce int `yaml:"at_once"`
	// RetryFirst is the pause after a first failure; it doubles with each further one. A
	// longer Retry-After of the receiver is kept to.
	RetryFirst time.Duration `yaml:"retry_first"`
	// RetryMost is the longest pause between two attempts.
	RetryMost time.Duration `yaml:"retry_most"`
	// GiveUpAfter is the time after the first attempt at which a message is given up; reports that
	// joined it later have as long from then. What waits for a receiver that is not configured any
	// more is given up as long after it was due. It must be shorter than the age at which reports leave the stream (14 days).
	GiveUpAfter time.Duration `yaml:"give_up_after"`
}

// Route says which reports are told to whom, and which of them together. Routes are a tree,
// as Alertmanager's: the first route of a level that matches is taken, and of those below it
// again; what no route below matches is told by the route itself.
type Route struct {
	// Owner is the owner whose reports take this route: short for the matcher owner="…". Left
	// out in default.
	Owner string `yaml:"owner"`
	// Matchers are conditions that a report must all meet: name="value", or with !=, =~ and !~
	// (a regular expression of the whole value). Names are cluster, node, namespace, workload,
	// workload_kind, pod, container, owner, trigger, rule, agreement, cause (the main one),
	// confidence, scope, incident and report, and those of the pod's own labels:
	// label_app_kubernetes_io_name="web", with _ for what is neither letter nor digit.
	Matchers []string `yaml:"matchers"`
	// Continue goes on to the next route of the level, though this one matched.
	Continue bool `yaml:"continue"`
	Telling  `yaml:",inline"`
	// Routes are those below this one.
	Routes []Route `yaml:"routes"`
}

// Telling says to whom reports are told, which of them, and which of those together.
type Telling struct {
	// Receivers are the names of those told. Empty tells nobody: they are not inherited.
	Receivers []string `yaml:"receivers"`
	// Contradicted tells also reports whose second witness contradicted the first. They are
	// stored in any case.
	Contradicted bool `yaml:"contradicted"`
	// Triggers are the triggers of which reports are told: rule, alert, manual, sibling.
	// Empty is rule and alert: who asks by hand looks at the answer anyway.
	Triggers []gopprof.TriggerKind `yaml:"triggers"`
	// GroupBy are the labels that reports have in common which are told in one message: any that
	// matchers may name. Default incident; report is a message for each. A webhook without
	// template gets each report by itself. This and what follows is inherited from the route
	// above.
	GroupBy []string `yaml:"group_by"`
	// GroupWait is how long a first report waits for others of its group. Default 30s; 1ms is
	// not at all.
	GroupWait time.Duration `yaml:"group_wait"`
	// GroupInterval is the least time between two messages of a group, when further pods or
	// other causes are reported. Default 5m.
	GroupInterval time.Duration `yaml:"group_interval"`
	// RepeatInterval is the time after which pods are told of again that go on being reported.
	// Default 4h.
	RepeatInterval time.Duration `yaml:"repeat_interval"`
	// EndAfter is the time without a report after which a group is over, and those told of it
	// are told that. Default 15m.
	EndAfter time.Duration `yaml:"end_after"`
	// NoFollowUp tells nobody that a group is over.
	NoFollowUp bool `yaml:"no_follow_up"`
}

// defaultTiming is that of routes which say nothing else.
var defaultTiming = timing{Wait: 30 * time.Second, Interval: 5 * time.Minute, Repeat: 4 * time.Hour, EndAfter: 15 * time.Minute}

// DefaultConfig returns the configuration of an aggregator that was told nothing: nobody
// is told anything.
func DefaultConfig() Config {
	return Config{
		Timeout: 10 * time.Second, AtOnce: 4,
		RetryFirst: 5 * time.Second, RetryMost: 10 * time.Minute,
		GiveUpAfter: 24 * time.Hour,
		Default: Telling{
			GroupBy: []string{labelIncident}, GroupWait: defaultTiming.Wait, GroupInterval: defaultTiming.Interval,
			RepeatInterval: defaultTiming.Repeat, EndAfter: defaultTiming.EndAfter,
		},
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
}

// Longest is the longest time that a record of what is to be told may stay as it is.
func (c Config) Longest() time.Duration {
	longest := max(c.GiveUpAfter, c.Default.times())
	for _, r := range c.Routes {
		longest = max(longest, r.longest())
	}
	return longest
}

func (r Telling) times() time.Duration {
	return max(r.GroupWait, r.GroupInterval, r.RepeatInterval, r.EndAfter)
}

func (r Route) longest() time.Duration {
	longest := r.times()
	for _, below := range r.Routes {
		longest = max(longest, below.longest())
	}
	return longest
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
	checkRoutes("routes", c.Routes, known, report)
	c.Default.checkReceivers("default", known, report)
}

func checkRoutes(key string, routes []Route, known map[string]bool, report func(key, problem string)) {
	plain := map[string]bool{}
	for i, r := range routes {
		here := at(key, i)
		if r.Owner == "" && len(r.Matchers) == 0 {
			report(here+".owner", "an owner or matchers must be given; what no route matches takes the default route")
		}
		if r.Owner != "" && plain[r.Owner] {
			report(here+".owner", "the owner has a route already, which takes all there is")
		}
		if len(r.Matchers) == 0 && !r.Continue {
			plain[r.Owner] = true
		}
		r.checkReceivers(here, known, report)
		checkRoutes(here+".routes", r.Routes, known, report)
	}
}

func (r Telling) checkReceivers(key string, known map[string]bool, report func(key, problem string)) {
	for i, name := range r.Receivers {
		if !known[name] {
			report(key+"."+at("receivers", i), "no receiver is named "+strconv.Quote(name))
		}
	}
}

// Check reports every matcher that makes no sense here.
func (r Route) Check(report func(key, problem string)) {
	for i, text := range r.Matchers {
		m, err := parseMatcher(text)
		if err != nil {
			report(at("matchers", i), err.Error())
		} else if problem := r.never(m); problem != "" {
			report(at("matchers", i), problem)
		}
	}
}

// Check reports every setting that makes no sense by itself.
func (r Telling) Check(report func(key, problem string)) {
	for i, t := range r.Triggers {
		if !slices.Contains(triggers, t) {
			report(at("triggers", i), strconv.Quote(string(t))+" is none of rule, alert, manual, sibling")
		}
	}
	for i, name := range r.GroupBy {
		if err := checkLabel(name); err != nil {
			report(at("group_by", i), err.Error())
		}
	}
	r.checkTimes(report)
}

// never tells why a matcher asks for reports that the route leaves out.
func (r Route) never(m matcher.Matcher) string {
	switch {
	case m.Op == matcher.Equal && m.Name == labelTrigger && !slices.Contains(r.told(), gopprof.TriggerKind(m.Value)) && len(r.Routes) == 0:
		return "reports of this trigger are told only where triggers lists it"
	case m.Op == matcher.Equal && m.Name == labelAgreement && m.Value == string(gopprof.AgreementContradicted) && !r.Contradicted && len(r.Routes) == 0:
		return "contradicted reports are told only where contradicted is true"
	}
	return ""
}

func (r Telling) checkTimes(report func(key, problem string)) {
	between := func(key string, d, least, most time.Duration) {
		if d != 0 && (d < least || d > most) { // 0 is inherited
			report(key, "must be from "+least.String()+" to "+most.String())
		}
	}
	between("group_wait", r.GroupWait, time.Millisecond, time.Hour)
	between("group_interval", r.GroupInterval, time.Second, 24*time.Hour)
	between("repeat_interval", r.RepeatInterval, time.Minute, 7*24*time.Hour)
	between("end_after", r.EndAfter, time.Second, 24*time.Hour)
}

func at(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }
