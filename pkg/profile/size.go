package profile

import (
	"fmt"

	"github.com/google/pprof/profile"
)

// The most bytes that one of each takes in a file as google/pprof writes it, without the
// strings and what else is counted by itself. The IDs are those of a merged profile, which
// fit five bytes; other numbers take up to ten.
const (
	sizeHeader   = 128 // times, period, and the numbers of strings
	sizeType     = 16
	sizeSample   = 18 // and its location's IDs
	sizeValue    = 10
	sizeMapping  = 64
	sizeFunction = 40
	sizeLocation = 32
	sizeLine     = 32
	sizeString   = 8 // and its length
)

// size is how large a profile is that is being made, and what reading it will cost: never
// less than what scan and checkFrames will find.
type size struct {
	samples, strings, functions, locations, mappings int

	frames int
	bytes  int64 // of the protobuf
	cost   int64 // of memory, the protobuf not included
}

// check refuses what Parse would refuse, with ErrTooLarge.
func (s *size) check(lim Limits) error {
	gzipped := s.bytes + s.bytes/1000 + sizeHeader // if nothing in it can be compressed
	switch {
	case s.samples > lim.Samples:
		return fmt.Errorf("%w to add: more than %d stacks with the others", ErrTooLarge, lim.Samples)
	case s.strings > lim.Strings:
		return fmt.Errorf("%w to add: more than %d strings with the others", ErrTooLarge, lim.Strings)
	case s.functions > lim.Functions:
		return fmt.Errorf("%w to add: more than %d functions with the others", ErrTooLarge, lim.Functions)
	case s.frames > lim.Frames:
		return fmt.Errorf("%w to add: more than %d frames in all stacks with the others", ErrTooLarge, lim.Frames)
	case s.bytes > lim.DecompressedBytes || gzipped > lim.CompressedBytes:
		return fmt.Errorf("%w to add: more than %d bytes with the others", ErrTooLarge, min(lim.DecompressedBytes, lim.CompressedBytes))
	case s.bytes+s.cost > lim.MemoryBytes:
		return fmt.Errorf("%w to add: reading it with the others would take more than %d bytes of memory", ErrTooLarge, lim.MemoryBytes)
	}
	return nil
}

// sample counts a stack whose location's IDs take that many bytes.
func (s *size) sample(out *profile.Sample, bytes int) {
	s.samples++
	s.bytes += sizeSample + int64(bytes) + sizeValue*int64(len(out.Value))
	s.cost += costSample + costOf(len(out.Location)) + costOf(len(out.Value))
	for _, l := range out.Location {
		s.frames += max(1, len(l.Line))
	}
}

// costOf is that of n integers, which google/pprof packs when they are more than two.
func costOf(n int) int64 {
	if n > 2 {
		return int64(n) * costPacked
	}
	return int64(n) * costUnpacked
}

func (s *size) mapping() {
	s.mappings++
	s.bytes += sizeMapping
	s.cost += costMapping
}

func (s *size) function() {
	s.functions++
	s.bytes += sizeFunction
	s.cost += costFunction
}

func (s *size) location(lines int) {
	s.locations++
	s.bytes += sizeLocation + sizeLine*int64(lines)
	s.cost += costLocation + costLine*int64(lines)
}

func (s *size) text(text string) {
	s.strings++
	s.bytes += sizeString + int64(len(text))
	s.cost += costString + int64(len(text))*5/4 + costOfPrinting(text)
}

func (s *size) valueType() {
	s.bytes += sizeType
	s.cost += costType
}
