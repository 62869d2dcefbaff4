package notify

import (
	"cmp"
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// batch is some reports: the hottest pods by name, and the count of all.
type batch struct {
	Items   []Item   `json:"items,omitempty"`
	Keys    []string `json:"keys,omitempty"` // of pods and their causes
	Pods    []string `json:"pods,omitempty"`
	Reports int      `json:"reports,omitempty"`
}

// bound keeps the newest.
func bound(all []string) []string { return all[max(0, len(all)-mostSeen):] }

// with is the batch with one more report.
func (b batch) with(i Item) batch {
	return b.join(batch{Items: []Item{i}, Keys: []string{digestOf(i.key())}, Pods: []string{digestOf(i.pod())}, Reports: 1})
}

// join is two batches as one: of each pod and cause the hotter report, the hottest first.
func (b batch) join(o batch) batch {
	out := batch{Keys: union(b.Keys, o.Keys), Pods: union(b.Pods, o.Pods), Reports: b.Reports + o.Reports}
	out.Items = slices.Concat(b.Items, o.Items)
	slices.SortStableFunc(out.Items, hotter)
	seen := map[string]bool{}
	out.Items = slices.DeleteFunc(out.Items, func(i Item) bool {
		known := seen[i.key()]
		seen[i.key()] = true
		return known
	})
	out.Items = out.Items[:min(len(out.Items), mostItems)]
	for k := fullItems; k < len(out.Items); k++ {
		out.Items[k] = out.Items[k].short()
	}
	return out
}

// beside is the batch with the pods of another one that it does not name itself.
func (b batch) beside(o batch) batch {
	b.Items = slices.Clone(b.Items)
	for _, i := range o.Items {
		if !slices.ContainsFunc(b.Items, func(known Item) bool { return known.key() == i.key() }) {
			b.Items = append(b.Items, i)
		}
	}
	b.Pods = union(b.Pods, o.Pods)
	return b
}

// short is the batch without what only a message about it shows.
func (b batch) short() batch {
	b.Items = slices.Clone(b.Items)
	for k := range b.Items {
		b.Items[k] = b.Items[k].short()
	}
	return b
}

// least is the batch without what only a message about it shows, and with so many pods by name.
func (b batch) least(most int) batch {
	b = b.short()
	b.Items = b.Items[:min(len(b.Items), most)]
	return b
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return bound(out)
}

// hotter orders reports: what is the pod's own before what its workload has in common, the
// surer cause before the less sure, the higher use before the lower.
func hotter(a, b Item) int {
	own := func(i Item) int {
		if i.Scope == string(gopprof.ScopePod) {
			return 0
		}
		return 1
	}
	sure := func(i Item) int {
		if k := slices.Index([]string{"sure", "likely", "unsure"}, i.Cause().Confidence); k >= 0 {
			return k
		}
		return 3
	}
	return cmp.Or(cmp.Compare(own(a), own(b)), cmp.Compare(sure(a), sure(b)), cmp.Compare(b.Ratio, a.Ratio))
}
