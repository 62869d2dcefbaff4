package explain

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// summary writes the first line that a person reads: what limits its truth, why the capture
// was made, and its cause; where there is none, what the profile shows.
func summary(c gopprof.Capture, found findings, v *gopprof.Verdict, around Around, ratio *float64) string {
	e := c.Trigger.Evidence
	if c.Trigger.Kind != gopprof.TriggerRule || e == nil {
		return asked(c.Trigger) + "; " + shown(c, found, gopprof.Kinds())
	}
	said := tags(c, doubtsOf(c, found, ratio)) + heat(*e) + "; "
	if v != nil && len(v.Causes) > 0 {
		said += causeLine(v.Causes[0])
	} else {
		said += shown(c, found, kindsFor(e.Resource))
	}
	return said + reach(v, around)
}

// causeLine is a cause's line, which says so when it is unsure.
func causeLine(c gopprof.Cause) string {
	if c.Confidence == gopprof.ConfidenceUnsure {
		return "unsure: " + c.Line
	}
	return c.Line
}

// doubts are what makes everything, or what is judged by shares, unsure.
type doubts struct {
	contradicted bool // by the second witness
	process      bool // another one was profiled
	few          bool // looks of the profiler that matters
}

func doubtsOf(c gopprof.Capture, found findings, ratio *float64) doubts {
	d := doubts{
		contradicted: c.Agreement.Result == gopprof.AgreementContradicted,
		process:      ratio != nil && c.CPUSeconds >= leastCPU && (*ratio < wrongProcess || *ratio > foreignCPU),
		few:          fewCPU(found) != "",
	}
	if e := c.Trigger.Evidence; e != nil && e.Resource == gopprof.ResourceMemory {
		d.process, d.few = false, fewHeap(found) != ""
	}
	return d
}

// tags are the gravest of the warnings in a few words, before everything else.
func tags(c gopprof.Capture, d doubts) string {
	var said []string
	for _, tag := range []struct {
		word  string
		holds bool
	}{
		{"contradicted", d.contradicted}, {"wrong process?", d.process}, {"few samples", d.few},
		{"one witness", c.Agreement.Result == gopprof.AgreementSingle},
	} {
		if tag.holds {
			said = append(said, tag.word)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return strings.Join(said, ", ") + ": "
}

// reach tells how far the trouble reaches, where that changes what to look at.
func reach(v *gopprof.Verdict, around Around) string {
	if v == nil || v.Scope != gopprof.ScopeWorkload {
		return ""
	}
	return fmt.Sprintf("; all %d pods of the workload are hot: load or a release, not this pod", around.Fleet.Pods)
}

// kindsFor lists the kinds that can say where a resource goes, the best first.
func kindsFor(r gopprof.Resource) []gopprof.Kind {
	if r == gopprof.ResourceMemory {
		return []gopprof.Kind{gopprof.KindHeap, gopprof.KindAllocs}
	}
	return []gopprof.Kind{gopprof.KindCPU}
}

// heat says what a rule saw: "cpu at 94 % of its 0.5-core limit for 2 × 1 m".
func heat(e gopprof.Evidence) string {
	at, ok := ratios(e)
	if !ok {
		return fmt.Sprintf("%s above %s of %s", e.Resource, figures.Percent(e.Threshold), e.Yardstick())
	}
	long := ""
	if !e.AtOnce && e.WindowSeconds > 0 && len(e.Windows) > 0 {
		long = fmt.Sprintf(" for %d × %s", len(e.Windows), figures.Length(e.WindowSeconds))
	}
	if e.Resource == gopprof.ResourceThrottled {
		return "throttled in " + at + " of its CPU periods" + long + limit(e, " under its ")
	}
	return string(e.Resource) + " at " + at + " of " + limitOr(limit(e, "its "), e.Yardstick()) + long
}

// ratios writes the least and the most that the windows had of the limit.
func ratios(e gopprof.Evidence) (string, bool) {
	var all []float64
	for _, w := range e.Windows {
		if r, ok := w.Ratio(e.Resource); ok && r >= 0 && !math.IsInf(r, 0) {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return "", false
	}
	least, most := figures.Percent(slices.Min(all)), figures.Percent(slices.Max(all))
	if least == most {
		return least, true
	}
	return least + " to " + most, true
}

// limit names the limit, if it was the same all the time: limits change in place.
func limit(e gopprof.Evidence, before string) string {
	of := func(w gopprof.Window) gopprof.Use {
		if e.Resource == gopprof.ResourceMemory {
			return w.Memory
		}
		return w.CPU
	}
	newest := of(e.Newest())
	if !(newest.Limit > 0) || math.IsInf(newest.Limit, 0) || slices.ContainsFunc(e.Windows, func(w gopprof.Window) bool { return of(w).Limit != newest.Limit }) {
		return ""
	}
	return before + amount(e, newest)
}

// amount names a limit, or what stands in for one.
func amount(e gopprof.Evidence, use gopprof.Use) string {
	what, many := figures.Cores(use.Limit)+"-core", figures.Cores(use.Limit)+" cores"
	if e.Resource == gopprof.ResourceMemory {
		what = figures.Size(use.Limit)
		many = what
	}
	switch use.Basis {
	case gopprof.BasisNode:
		return "node's " + what + " capacity (no limit)"
	case gopprof.BasisRequest:
		return "request's allowance of " + many + " (no limit)"
	}
	return what + " limit"
}

func limitOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// asked says why a capture was made that no rule asked for.
func asked(t gopprof.Trigger) string {
	who := ""
	if t.Request != nil && t.Request.Who != "" {
		who = " by " + quote(t.Request.Who)
	}
	switch t.Kind {
	case gopprof.TriggerManual:
		return "asked for" + limitOr(who, " by hand")
	case gopprof.TriggerSibling:
		return "taken to compare with another pod"
	case gopprof.TriggerAlert:
		if t.Alert != nil && t.Alert.Name != "" {
			return "taken for alert " + quote(t.Alert.Name)
		}
		return "taken for an alert" + who
	}
	return "taken" + who
}

// shown says what the first usable profile of the kinds shows, or why there is none.
func shown(c gopprof.Capture, found findings, kinds []gopprof.Kind) string {
	for _, k := range kinds {
		if f, ok := found[k]; ok && f.usable() && f.blame.who.Name != "" {
			return f.says()
		}
	}
	for _, k := range kinds {
		if f, ok := found[k]; ok {
			return fmt.Sprintf("the %s profile %s", k, f.useless())
		}
	}
	for _, k := range kinds {
		for _, f := range c.Failures {
			if f.Kind == k {
				return fmt.Sprintf("no %s profile could be taken (%s)", k, f.Reason)
			}
		}
	}
	return "no profile that says more"
}

// useless says why nothing can be said of a profile.
func (f finding) useless() string {
	switch {
	case f.top.Reason == gopprof.ReasonNotEnabled:
		return "is not enabled in the program"
	case f.top.Reason != "":
		return fmt.Sprintf("cannot be read (%s)", f.top.Reason)
	case f.top.Total == 0:
		return "is empty"
	case f.top.Detail != "":
		return "has values that cannot be true"
	}
	return "names no functions"
}

// says writes what a profile is mostly about, in the terms of its kind.
func (f finding) says() string {
	who, cum, total := short(f.blame.who), f.blame.who.Cum, f.top.Total
	with := who + " and what it calls"
	if f.blame.who.Flat == cum {
		with = who + " itself"
	}
	part := share100(cum, total)
	switch f.top.Kind {
	case gopprof.KindCPU:
		use := " use "
		if f.blame.who.Flat == cum {
			use = " uses "
		}
		return with + use + part + " of " + figures.Digits(seconds(total)) + " CPU seconds" + f.outside() + f.leaf()
	case gopprof.KindHeap:
		return fmt.Sprintf("%s allocated %s of %s live heap (%s)", with, figures.Size(float64(cum)), figures.Size(float64(total)), part)
	case gopprof.KindAllocs:
		return fmt.Sprintf("%s allocated %s of %s since the program started (%s)", with, figures.Size(float64(cum)), figures.Size(float64(total)), part)
	case gopprof.KindGoroutine:
		return fmt.Sprintf("%s is on the stack of %d of %s", who, cum, figures.Plural(total, "goroutine", "goroutines"))
	case gopprof.KindThreadcreate:
		return fmt.Sprintf("%s is on the stack that created %d of %s", who, cum, figures.Plural(total, "thread", "threads"))
	case gopprof.KindMutex:
		return fmt.Sprintf("locks that %s released were waited for %s s of %s s", with, figures.Digits(seconds(cum)), figures.Digits(seconds(total)))
	}
	return fmt.Sprintf("%s waited %s s of %s s", with, figures.Digits(seconds(cum)), figures.Digits(seconds(total)))
}

// outside says that the program's own code is not what the CPU time goes to.
func (f finding) outside() string {
	if f.blame.outside {
		return ", outside the program's own code"
	}
	return ""
}

// leaf names the heaviest single function, if it is another one and heavy enough to matter.
func (f finding) leaf() string {
	leaf := f.blame.leaf
	if leaf.Name == f.blame.who.Name || float64(leaf.Flat) < 0.2*float64(f.top.Total) {
		return ""
	}
	return "; the heaviest single function is " + short(leaf) + " (" + share100(leaf.Flat, f.top.Total) + ")"
}
