package picture

import (
	"fmt"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// name makes a foreign name one that has room: it is cut in its middle, since pods of one
// workload differ at the end. A character outside ASCII may be as wide as two.
func name(s string, room int) string {
	runes := []rune(profile.Printable(strings.Join(strings.Fields(s), " "), 1024))
	if width(runes) <= room {
		return string(runes)
	}
	tail := len(runes)
	for tail > 0 && width(runes[tail-1:]) <= room/2 {
		tail--
	}
	head := 0
	for head < tail && width(runes[:head+1]) < room-width(runes[tail:]) {
		head++
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

func width(runes []rune) int {
	n := 0
	for _, r := range runes {
		if n++; r > 0x2000 || r > 0x7f && r < 0x100 {
			n++
		}
	}
	return n
}

// amount writes cores or bytes.
func (p panel) amount(v float64) string {
	if p.resource == gopprof.ResourceMemory {
		return figures.Size(v)
	}
	if cores := figures.Cores(v); cores != "1" {
		return cores + " cores"
	}
	return "1 core"
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

func minute(t time.Time) string { return t.UTC().Format("15:04") }

// what names the resource.
func (p panel) what() string {
	switch p.resource {
	case gopprof.ResourceMemory:
		return "Memory"
	case gopprof.ResourceThrottled:
		return "Throttled"
	}
	return "CPU"
}

// heading says what the axis measures.
func (p panel) heading(unit string) string {
	switch {
	case p.resource == gopprof.ResourceThrottled:
		return "Throttled, % of the CPU periods"
	case p.ratios:
		return fmt.Sprintf("%s, %% of %s: %s", p.what(), p.yardstick, p.limitsText())
	}
	return fmt.Sprintf("%s, %s (no limit)", p.what(), unit)
}

// limitsText writes the limit, or how it changed.
func (p panel) limitsText() string {
	all := p.limits()
	first, last := all[0], all[len(all)-1]
	switch len(all) {
	case 1:
		return p.amount(last.limit)
	case 2:
		return fmt.Sprintf("%s, from %s %s", p.amount(first.limit), clock(last.start), p.amount(last.limit))
	}
	return fmt.Sprintf("%s, changed %d times, now %s", p.amount(first.limit), len(all)-1, p.amount(last.limit))
}

// peaks says how high the use went, by each witness.
func (p panel) peaks(by gopprof.Witness) string {
	var parts []string
	for _, w := range []struct {
		seen []stretch
		name string
	}{{p.local, "cAdvisor"}, {p.series, seriesName(by)}} {
		if s, ok := highest(w.seen); ok {
			parts = append(parts, w.name+" "+p.peak(s))
		}
	}
	return "Highest: " + strings.Join(parts, ", ")
}

func (p panel) peak(s stretch) string {
	switch {
	case p.resource == gopprof.ResourceThrottled:
		return figures.Percent(s.value)
	case p.ratios:
		return fmt.Sprintf("%s (%s)", p.amount(s.use), figures.Percent(s.value))
	}
	return p.amount(s.use)
}

func seriesName(by gopprof.Witness) string {
	switch by {
	case gopprof.WitnessHeapster:
		return "Heapster"
	case gopprof.WitnessRecord:
		return "record"
	}
	return "series"
}

// fired says what the trigger's mark means.
func fired(t gopprof.Trigger) string {
	if t.Kind == gopprof.TriggerRule {
		return "fired " + clock(t.At)
	}
	return "asked " + clock(t.At)
}

// why says in a few words what the capture was made for.
func why(c gopprof.Capture) string {
	if e := c.Trigger.Evidence; e != nil {
		s := "rule " + name(e.Rule, 16)
		switch c.Agreement.Result {
		case gopprof.AgreementConfirmed, gopprof.AgreementContradicted:
			s += ", " + string(c.Agreement.Result)
		case gopprof.AgreementSingle:
			s += ", one witness"
		case gopprof.AgreementUnavailable:
			s += ", no second witness"
		}
		return s
	}
	switch c.Trigger.Kind {
	case gopprof.TriggerManual:
		return "taken by hand"
	case gopprof.TriggerSibling:
		return "taken to compare with"
	case gopprof.TriggerAlert:
		return "taken for an alert"
	}
	return "taken"
}

// description says the whole picture in words, for those who cannot see it.
func description(c gopprof.Capture, f frame, panels []panel) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From %s to %s UTC.", f.start.UTC().Format("2006-01-02 15:04:05"), clock(f.end))
	for _, p := range panels {
		fmt.Fprintf(&b, " %s. %s.", p.heading(scaleOf(p).unit), p.peaks(c.History.SeriesBy))
		if p.threshold > 0 {
			fmt.Fprintf(&b, " Threshold: %s.", figures.Percent(p.threshold))
		}
	}
	if f.holds(c.Trigger.At) {
		fmt.Fprintf(&b, " Trigger: %s.", fired(c.Trigger))
	}
	if from, to, ok := f.clip(c.Start, c.End); ok {
		fmt.Fprintf(&b, " The capture ran from %s to %s.", clock(from), clock(to))
	}
	return b.String()
}
