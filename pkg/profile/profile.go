package profile

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/google/pprof/profile"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Raw is google/pprof's own form of a profile.
type Raw = profile.Profile

// Profile is one parsed pprof file, without its labels.
type Profile struct {
	raw  *Raw
	cost int64
}

// Raw returns google/pprof's own form of the profile, for its driver, which changes it:
// after that the Profile is used up.
func (p *Profile) Raw() *Raw { return p.raw }

// Cost returns what reading the file was estimated to take, in bytes of memory
// (Limits.MemoryBytes is its bound); 0 of a profile that was made here.
func (p *Profile) Cost() int64 { return p.cost }

// Bytes returns the profile as a file: a gzipped protobuf, the same for the same profile.
func (p *Profile) Bytes() ([]byte, error) {
	var b bytes.Buffer
	if err := p.raw.Write(&b); err != nil {
		return nil, fmt.Errorf("writing a profile: %w", err)
	}
	return b.Bytes(), nil
}

// Parse reads a file. It is refused with ErrTooLarge or ErrInvalid.
func Parse(data []byte, lim Limits) (*Profile, error) {
	data, err := gunzip(data, lim)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("%w: empty file", ErrInvalid)
	}
	cost, err := scan(data, lim)
	if err != nil {
		return nil, err
	}
	lim.enter(cost)
	if cost > largeCost { // nothing that was left before, or is left by the parser, stands beside it
		debug.FreeOSMemory()
		defer runtime.GC()
	}
	raw, err := profile.ParseUncompressed(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if err := raw.CheckValid(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if err := checkFrames(raw, lim); err != nil {
		return nil, err
	}
	return &Profile{raw: raw, cost: cost}, nil
}

// largeCost is the cost in bytes from which a file waits for others (Gate), and is worth a
// collection of garbage: a part of what one may cost, since what a capture holds beside it and
// the garbage of either add up. A usual profile costs a fifth of it.
const largeCost = 8 << 20

// checkFrames bounds what inlined calls multiply: one small location may stand for many
// frames, in many stacks.
func checkFrames(raw *Raw, lim Limits) error {
	frames := 0
	for _, s := range raw.Sample {
		depth := 0
		for _, l := range s.Location {
			depth += max(1, len(l.Line))
		}
		if depth > lim.Depth {
			return fmt.Errorf("%w: a stack of %d frames, at most %d allowed", ErrTooLarge, depth, lim.Depth)
		}
		if frames += depth; frames > lim.Frames {
			return fmt.Errorf("%w: more than %d frames in all stacks", ErrTooLarge, lim.Frames)
		}
	}
	return nil
}

// Validate checks that a file is a profile of the kind, within the limits; it is refused
// with ErrTooLarge or ErrInvalid. Of an execution trace only the header is looked at. A
// heap profile is a valid allocs profile and a block profile a valid mutex profile: the
// files do not differ.
func Validate(kind gopprof.Kind, data []byte, lim Limits) error {
	if kind == gopprof.KindTrace {
		return validateTrace(data, lim)
	}
	p, err := Parse(data, lim)
	if err != nil {
		return err
	}
	_, _, err = p.column(kind)
	return err
}
