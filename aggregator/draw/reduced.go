package draw

import (
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// What reading a profile costs, in bytes of memory (profile.Profile.Cost), where Reduced makes
// anything of it: below, reading it twice costs next to nothing; above, there is no room for a
// copy beside it.
const (
	reducedFrom = 8 << 20
	reducedMost = 72 << 20
)

// Reduced returns a file of which Draw makes the same drawing as of the one that p was read
// from: of a large heap profile, which takes half a second to read, its drawing needs a tenth.
// held is what of the capture's bytes is in memory beside it. nil where that is not worth it or
// cannot be: the file itself is to be drawn then. A profile that it panics on is drawn, or not,
// by a worker, which costs its drawing and not its report.
func Reduced(kind gopprof.Kind, p *profile.Profile, held int64) (file []byte) {
	defer func() {
		if recover() != nil {
			file = nil
		}
	}()
	if p.Cost() < reducedFrom || p.Cost()+2*held > reducedMost {
		return nil
	}
	clean, err := p.Clean(kind)
	if err != nil {
		return nil
	}
	file, err = clean.Condense(nodeFraction).Bytes()
	if err != nil {
		return nil
	}
	return file
}
