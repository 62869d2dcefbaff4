package profile

import (
	"errors"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// ErrTooLarge is a file that would cost its reader more than the limits allow.
var ErrTooLarge = errors.New("profile is too large")

// ErrInvalid is a file that is not a pprof profile, or not one of the kind asked for.
var ErrInvalid = errors.New("not a valid profile")

// ReasonOf returns the name of why Parse or Validate refused a file, or "" for nil.
func ReasonOf(err error) gopprof.Reason {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrTooLarge):
		return gopprof.ReasonTooLarge
	}
	return gopprof.ReasonInvalidProfile
}

// Limits bound what one file may cost. They are checked before the memory is used.
type Limits struct {
	CompressedBytes   int64 // of the file as it came
	DecompressedBytes int64 // of the protobuf, and of an execution trace
	MemoryBytes       int64 // estimate of what the decoded profile and its decoding take, the protobuf included
	Samples           int   // stacks
	Strings           int
	Functions         int // each is counted, weighed and drawn by itself
	Depth             int // frames of one stack, inlined ones counted
	Frames            int // of all stacks together: bounds the time that counting them takes

	large func() // waits until there may be a large one (Gate); nil: at once
}

// DefaultLimits returns limits that hold a heap profile of 100,000 stacks and 10,000
// functions, and keep the worst file at about 100 MB.
func DefaultLimits() Limits {
	return Limits{
		CompressedBytes:   16 << 20,
		DecompressedBytes: 32 << 20,
		MemoryBytes:       96 << 20,
		Samples:           200_000,
		Strings:           200_000,
		Functions:         50_000,
		Depth:             4096,
		Frames:            20_000_000,
	}
}
