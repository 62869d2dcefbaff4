package soak

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

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

// table shows it to a person.
func (o outcome) table() string {
	ends, agreements := map[string]int{}, map[string]int{}
	for _, t := range o.account.Triggers {
		for _, e := range t.Ends {
			name := string(e.How)
			if e.How == Refused || e.How == Dead {
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
