// Package explain says in a few words what a capture shows.
//
// Enters: a capture with its profiles' bytes. Leaves: an Explanation: one summary line,
// warnings that limit how far the rest may be trusted, and each profile's heaviest
// functions. It is pure: no I/O, no clock.
//
// Must never happen: a claim that the profiles and the evidence do not carry.
package explain

import (
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// Explain reads the capture's profiles and says what they show. A profile that cannot be
// read costs its own part only.
func Explain(c gopprof.Capture, lim profile.Limits) gopprof.Explanation {
	var e gopprof.Explanation
	for _, f := range c.Profiles {
		if f.Kind == gopprof.KindTrace {
			continue
		}
		p, err := profile.Parse(f.Bytes, lim)
		if err != nil {
			e.Profiles = append(e.Profiles, gopprof.TopFunctions{Kind: f.Kind, Reason: profile.ReasonOf(err), Detail: err.Error()})
			continue
		}
		e.Profiles = append(e.Profiles, p.Top(f.Kind, 20))
	}
	return e
}
