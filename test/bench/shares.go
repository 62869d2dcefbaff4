package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	google "github.com/google/pprof/profile"

	"github.com/gopprof/gopprof/pkg/profile"
)

// part is a part of a program's work, by the beginnings of its functions' names.
type part struct {
	what      string
	functions []string
}

// share is how much of a profile something is, 0–1.
type share struct {
	what string
	of   float64
}

// elsewhere is what no part has.
const elsewhere = "the rest"

// partsOf splits CPU profiles: a sample belongs to the part of its innermost function that is
// of any. The largest come first.
func partsOf(profiles []*profile.Raw, all []part) []share {
	return sharesOf(profiles, func(names []string) string {
		for _, name := range names {
			for _, p := range all {
				if slices.ContainsFunc(p.functions, func(begin string) bool { return strings.HasPrefix(name, begin) }) {
					return p.what
				}
			}
		}
		return elsewhere
	})
}

// packagesOf splits CPU profiles by the package of the innermost function.
func packagesOf(profiles []*profile.Raw) []share {
	return sharesOf(profiles, func(names []string) string {
		if len(names) == 0 {
			return elsewhere
		}
		return profile.PackageOf(names[0])
	})
}

// functionsOf splits CPU profiles by the innermost function.
func functionsOf(profiles []*profile.Raw) []share {
	return sharesOf(profiles, func(names []string) string {
		if len(names) == 0 {
			return elsewhere
		}
		return names[0]
	})
}

func sharesOf(profiles []*profile.Raw, whose func(names []string) string) []share {
	sums, total := map[string]int64{}, int64(0)
	for _, p := range profiles {
		for _, s := range p.Sample {
			value := s.Value[len(s.Value)-1]
			sums[whose(namesOf(s))] += value
			total += value
		}
	}
	var out []share
	for _, what := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, share{what, float64(sums[what]) / float64(total)})
	}
	slices.SortStableFunc(out, func(a, b share) int { return cmp.Compare(b.of, a.of) })
	return out
}

// namesOf are a sample's functions, the innermost first, ours without the module.
func namesOf(s *google.Sample) (names []string) {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				names = append(names, strings.TrimPrefix(line.Function.Name, "github.com/gopprof/gopprof/"))
			}
		}
	}
	return names
}

// samplesIn counts those of profiles.
func samplesIn(profiles []*profile.Raw) (n int) {
	for _, p := range profiles {
		for _, s := range p.Sample {
			n += int(s.Value[0])
		}
	}
	return n
}
