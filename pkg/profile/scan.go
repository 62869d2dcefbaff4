package profile

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Field numbers of profile.proto (github.com/google/pprof/proto).
const (
	fieldSampleType = 1
	fieldSample     = 2
	fieldMapping    = 3
	fieldLocation   = 4
	fieldFunction   = 5
	fieldString     = 6
	fieldPeriodType = 11
	fieldComment    = 13

	fieldSampleLocation = 1
	fieldSampleValue    = 2
	fieldSampleLabel    = 3
	fieldLocationLine   = 4
)

// Wire types of protocol buffers.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// What google/pprof's parser allocates for one of each, everything it throws away again
// included (its slices grow by a quarter at a time). Measured, on amd64 with Go 1.26, by
// TestParseCost, which fails when they are too low.
const (
	costSample   = 190
	costPacked   = 18 // a location or value of a sample
	costUnpacked = 44 // the same, each in a field of its own
	costLocation = 220
	costLine     = 64
	costFunction = 250
	costMapping  = 260
	costString   = 110 // and its length, and a quarter of it, and costOfPrinting
	costType     = 80
	costComment  = 130
)

// Counts that no real profile comes near.
const (
	maxTypes    = 32
	maxComments = 1000
)

// costPrinted is what Weigh keeps of a text that it cannot leave as it is, beside its bytes.
const costPrinted = 100

// costOfPrinting is what the printed form of a text costs that differs from it: nothing for
// nearly all.
func costOfPrinting[T string | []byte](s T) int64 {
	bytes, same := printedBytes(s, maxText)
	if same {
		return 0
	}
	return costPrinted + int64(bytes)
}

// labelTag is the tag of a sample's label, hiddenTag that of a field which the parser does
// not know and skips: same length, so that a label is hidden by changing one byte.
const (
	labelTag  = fieldSampleLabel<<3 | wireBytes
	hiddenTag = 15<<3 | wireBytes
)

// scanner walks a protobuf before it is parsed, adds up what parsing will cost, and hides
// the labels of the samples.
type scanner struct {
	lim       Limits
	cost      int64
	samples   int
	strings   int
	functions int
	types     int
	comments  int
}

// scan returns what parsing a protobuf will cost, in bytes of memory. It refuses, with
// ErrTooLarge or ErrInvalid, one that would exceed the limits. It changes data: the labels
// in it are gone afterwards.
func scan(data []byte, lim Limits) (cost int64, err error) {
	s := &scanner{lim: lim, cost: int64(len(data))}
	err = eachField(data, s.field)
	return s.cost, err
}

func (s *scanner) field(f field) error {
	switch f.number {
	case fieldSample:
		return s.sample(f)
	case fieldLocation:
		return s.location(f)
	case fieldFunction:
		if s.functions++; s.functions > s.lim.Functions {
			return fmt.Errorf("%w: more than %d functions", ErrTooLarge, s.lim.Functions)
		}
		return s.add(costFunction)
	case fieldMapping:
		return s.add(costMapping)
	case fieldString:
		if s.strings++; s.strings > s.lim.Strings {
			return fmt.Errorf("%w: more than %d strings", ErrTooLarge, s.lim.Strings)
		}
		return s.add(costString + int64(len(f.data))*5/4 + costOfPrinting(f.data))
	case fieldSampleType, fieldPeriodType:
		if s.types++; s.types > maxTypes {
			return fmt.Errorf("%w: more than %d value types", ErrTooLarge, maxTypes)
		}
		return s.add(costType)
	case fieldComment:
		n := f.integers()
		if s.comments += n; s.comments > maxComments {
			return fmt.Errorf("%w: more than %d comments", ErrTooLarge, maxComments)
		}
		return s.add(int64(n) * costComment)
	}
	return nil
}

func (s *scanner) sample(f field) error {
	if s.samples++; s.samples > s.lim.Samples {
		return fmt.Errorf("%w: more than %d stacks", ErrTooLarge, s.lim.Samples)
	}
	if err := s.add(costSample); err != nil {
		return err
	}
	depth := 0
	return eachField(f.data, func(f field) error {
		switch f.number {
		case fieldSampleLocation:
			if depth += f.integers(); depth > s.lim.Depth {
				return fmt.Errorf("%w: a stack of more than %d frames", ErrTooLarge, s.lim.Depth)
			}
			return s.add(f.cost())
		case fieldSampleValue:
			return s.add(f.cost())
		case fieldSampleLabel:
			if len(f.tag) != 1 || f.tag[0] != labelTag {
				return fmt.Errorf("%w: oddly encoded label", ErrInvalid)
			}
			f.tag[0] = hiddenTag
		}
		return nil
	})
}

func (s *scanner) location(f field) error {
	if err := s.add(costLocation); err != nil {
		return err
	}
	return eachField(f.data, func(f field) error {
		if f.number == fieldLocationLine {
			return s.add(costLine)
		}
		return nil
	})
}

func (s *scanner) add(bytes int64) error {
	if s.cost += bytes; s.cost > s.lim.MemoryBytes {
		return fmt.Errorf("%w: reading it would take more than %d bytes of memory", ErrTooLarge, s.lim.MemoryBytes)
	}
	return nil
}

// field is one field of a protobuf message.
type field struct {
	number uint64
	wire   uint64
	tag    []byte // as it stands in the message
	data   []byte // of wireBytes
}

// integers returns how many integers a repeated integer field holds, packed or not.
func (f field) integers() int {
	if f.wire != wireBytes {
		return 1
	}
	n := 0
	for _, b := range f.data {
		if b < 0x80 {
			n++
		}
	}
	return n
}

// cost is that of the integers of a repeated field.
func (f field) cost() int64 {
	if f.wire == wireBytes {
		return int64(f.integers()) * costPacked
	}
	return costUnpacked
}

// eachField calls visit with every field of a message.
func eachField(data []byte, visit func(field) error) error {
	for len(data) > 0 {
		f, rest, err := nextField(data)
		if err != nil {
			return err
		}
		if err := visit(f); err != nil {
			return err
		}
		data = rest
	}
	return nil
}

func nextField(data []byte) (field, []byte, error) {
	tag, n := binary.Uvarint(data)
	if n <= 0 {
		return field{}, nil, errNotProto(data)
	}
	f := field{number: tag >> 3, wire: tag & 7, tag: data[:n]}
	data = data[n:]
	size, skip := uint64(0), 0
	switch f.wire {
	case wireVarint:
		_, skip = binary.Uvarint(data)
	case wireFixed64:
		size = 8
	case wireFixed32:
		size = 4
	case wireBytes:
		size, skip = binary.Uvarint(data)
	default:
		return field{}, nil, errNotProto(data)
	}
	if skip < 0 || (skip == 0 && (f.wire == wireVarint || f.wire == wireBytes)) || size > uint64(len(data)-skip) {
		return field{}, nil, errNotProto(data)
	}
	f.data = data[skip : skip+int(size)]
	return f, data[skip+int(size):], nil
}

func errNotProto(data []byte) error {
	return fmt.Errorf("%w: not a protocol buffer (text and legacy formats are refused)%s", ErrInvalid, hint(data))
}

// hint says what a refused file looks like, where that helps a person.
func hint(data []byte) string {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) {
		return ": it looks like HTML"
	}
	return ""
}
