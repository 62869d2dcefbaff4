package profile

import (
	"fmt"

	"github.com/google/pprof/profile"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Raw is google/pprof's profile, for its driver.
type Raw = profile.Profile

// Profile is one parsed pprof file, without its labels.
type Profile struct {
	raw *Raw
}

// Raw returns google/pprof's own form of the profile. The caller may change it.
func (p *Profile) Raw() *Raw { return p.raw }

// Parse reads a file. Errors are ErrTooLarge or ErrInvalid.
func Parse(data []byte, lim Limits) (*Profile, error) {
	data, err := gunzip(data, lim)
	if err != nil {
		return nil, err
	}
	raw, err := profile.ParseUncompressed(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if err := raw.CheckValid(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	return &Profile{raw: raw}, nil
}

// Validate checks that a file is a profile of the kind, within the limits. Errors are
// ErrTooLarge or ErrInvalid.
func Validate(kind gopprof.Kind, data []byte, lim Limits) error {
	if kind == gopprof.KindTrace {
		return nil
	}
	_, err := Parse(data, lim)
	return err
}

// Top returns what the profile says of its kind's main value.
func (p *Profile) Top(kind gopprof.Kind, n int) gopprof.TopFunctions {
	return gopprof.TopFunctions{Kind: kind}
}

// Clean returns a copy for drawing.
func (p *Profile) Clean(kind gopprof.Kind) (*Profile, error) {
	return &Profile{raw: p.raw.Copy()}, nil
}
