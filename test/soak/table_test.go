package soak

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
)

// outcome is what there is to say of a soak.
type outcome struct {
	account  Account
	reports  []api.ReportSummary
	told     map[string]int // messages that the owner took, by report
	unwanted int            // messages that the owner refused
	struck   map[string]int // faults
	peakKiB  map[string]int // by program
}

const (
	// shortSoak is the length from which on a soak that shows nothing has failed.
	shortSoak = 2 * time.Minute
	// longSoak is the length from which on every fault has struck.
	longSoak = 30 * time.Minute
)

// lacks says what a soak of that length should have had, beside the faults that this machine
// can have, and had not: it shows nothing then.
func (o outcome) lacks(length time.Duration, kills, others []fault) (lacks []string) {
	want := func(what string, n int) {
		if n == 0 {
			lacks = append(lacks, what)
		}
	}
	if length >= shortSoak {
		want("a report", len(o.reports))
		want("a kill of the agent", o.struck[killedAgent]+o.struck[killedBoth])
		want("a kill of the aggregator", o.struck[killedAggregator]+o.struck[killedBoth])
		n := 0
		for _, f := range others {
			n += o.struck[f.kind]
		}
		want("a fault beside the kills", n)
	}
	if length >= longSoak {
		for _, f := range slices.Concat(kills, others) {
			want(f.kind, o.struck[f.kind])
		}
	}
	return lacks
}

// table shows it to a person.
func (o outcome) table() string {
	ends, agreements := map[string]int{}, map[string]int{}
	for _, t := range o.account.Triggers {
		for _, e := range t.Ends {
			name := string(e.How)
			if e.How.hasReason() {
				name += ": " + e.Reason
			}
			ends[name]++
		}
	}
	for _, r := range o.reports {
		agreements[cmp.Or(string(r.Agreement), "without an answer")]++
	}
	messages := map[string]int{"refused by the owner": o.unwanted}
	for _, n := range o.told {
		messages["taken"]++
		messages["taken again"] += n - 1
	}
	peak := map[string]int{}
	for program, kib := range o.peakKiB {
		peak[program] = kib >> 10
	}
	var b strings.Builder
	section(&b, "triggers", ends)
	section(&b, "faults of the account", map[string]int{"": len(o.account.Faults)})
	section(&b, "reports", agreements)
	section(&b, "messages", messages)
	section(&b, "faults that struck", o.struck)
	section(&b, "MiB resident at the most", peak)
	return b.String()
}

// section writes how many there are in all, and of each sort.
func section(b *strings.Builder, what string, sorts map[string]int) {
	total := 0
	for _, n := range sorts {
		total += n
	}
	fmt.Fprintf(b, "%6d %s\n", total, what)
	for _, sort := range slices.Sorted(maps.Keys(sorts)) {
		if sort != "" {
			fmt.Fprintf(b, "%14d %s\n", sorts[sort], sort)
		}
	}
}

func TestASoakThatShowsNothing(t *testing.T) {
	kills := []fault{{kind: killedAgent}, {kind: killedAggregator}, {kind: killedBoth}}
	others := []fault{{kind: "store full"}, {kind: "pprof hangs"}}
	one := []api.ReportSummary{{}}
	for name, c := range map[string]struct {
		length  time.Duration
		reports []api.ReportSummary
		struck  string
		want    string
	}{
		"tried out":               {time.Minute, nil, "", ""},
		"empty":                   {2 * time.Minute, nil, "", "a report, a kill of the agent, a kill of the aggregator, a fault beside the kills"},
		"nobody fired":            {2 * time.Minute, nil, "both killed, store full", "a report"},
		"one program":             {2 * time.Minute, one, "aggregator killed, store full", "a kill of the agent"},
		"the other":               {2 * time.Minute, one, "agent killed, store full", "a kill of the aggregator"},
		"kills alone":             {2 * time.Minute, one, "agent killed, aggregator killed, both killed", "a fault beside the kills"},
		"both at once":            {2 * time.Minute, one, "both killed, pprof hangs", ""},
		"one after the other":     {29 * time.Minute, one, "agent killed, aggregator killed, store full", ""},
		"long, and not all":       {30 * time.Minute, one, "agent killed, both killed, store full", "aggregator killed, pprof hangs"},
		"long":                    {30 * time.Minute, one, "agent killed, aggregator killed, both killed, store full, pprof hangs", ""},
		"a fault of another kind": {2 * time.Minute, one, "both killed, moon full", "a fault beside the kills"},
	} {
		o := outcome{reports: c.reports, struck: map[string]int{}}
		for kind := range strings.SplitSeq(c.struck, ", ") {
			o.struck[kind]++
		}
		if got := strings.Join(o.lacks(c.length, kills, others), ", "); got != c.want {
			t.Errorf("%s: lacks %q, want %q", name, got, c.want)
		}
	}
}
