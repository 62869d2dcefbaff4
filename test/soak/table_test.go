package soak

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// table is what a soak came to, for a person.
func table(a Account, struck, peak map[string]int) string {
	ends := map[string]int{}
	for _, t := range a.Triggers {
		for _, e := range t.Ends {
			name := string(e.How)
			if e.How == Refused || e.How == Dead {
				name += ": " + e.Reason
			}
			ends[name]++
		}
	}
	var b strings.Builder
	row := func(n int, unit, what string) { fmt.Fprintf(&b, "%8d %-4s %s\n", n, unit, what) }
	row(len(a.Triggers), "", "triggers, of which")
	for _, name := range slices.Sorted(maps.Keys(ends)) {
		row(ends[name], "", "  "+name)
	}
	row(len(a.Faults), "", "not accounted for")
	total := 0
	for _, n := range struck {
		total += n
	}
	row(total, "", "faults, of which")
	for _, kind := range slices.Sorted(maps.Keys(struck)) {
		row(struck[kind], "", "  "+kind)
	}
	for _, program := range slices.Sorted(maps.Keys(peak)) {
		row(peak[program]>>10, "MiB", "most memory resident of the "+program)
	}
	return b.String()
}
