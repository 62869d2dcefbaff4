package hostile

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

type message = profiletest.Message

// begun is the beginning of a CPU profile: sample types, and function and location 1.
func begun(name string) message {
	return begunAs(name, "samples", "count", "cpu", "nanoseconds")
}

// begunAs is that of a profile of other values, each with its unit.
func begunAs(name string, types ...string) message {
	m := message{}.Text(profiletest.String, "")
	for _, s := range append(slices.Clone(types), name) {
		m = m.Text(profiletest.String, s)
	}
	for i := uint64(1); i < uint64(len(types)); i += 2 {
		m = m.Bytes(profiletest.SampleType, message{}.Varint(1, i).Varint(2, i+1))
	}
	return located(m, 1, uint64(len(types)+1))
}

// located adds a function and a location of the same number.
func located(m message, id, name uint64) message {
	m = m.Bytes(profiletest.Function, message{}.Varint(1, id).Varint(2, name).Varint(3, name))
	return m.Bytes(profiletest.Location, message{}.Varint(1, id).Bytes(profiletest.LocationLine, message{}.Varint(1, id)))
}

// sampled adds a stack of one frame.
func sampled(m message, values ...int64) message {
	return m.Bytes(profiletest.Sample, stack(values, 1))
}

func stack(values []int64, locations ...uint64) message {
	s := message{}.Packed(profiletest.SampleLocation, locations...)
	for _, v := range values {
		s = s.Varint(profiletest.SampleValue, uint64(v))
	}
	return s
}

// with is a profile with so many pieces; the i-th, from 0, is what piece returns.
func with(n int, piece func(i uint64) message) Payload {
	return after(sampled(begun("main.f"), 1, 1e7), n, piece)
}

// after is a profile that begins with a message and goes on with so many pieces.
func after(m message, n int, piece func(i uint64) message) Payload {
	return func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 64<<10)
		_, _ = b.Write(m) // the error comes again
		for i := range uint64(n) {
			if _, err := b.Write(piece(i)); err != nil {
				return err
			}
		}
		return b.Flush()
	}
}

// profiles are well-formed and too much, or say what cannot be.
func profiles() []Case {
	var cases []Case
	add := func(name string, p Payload, reasons ...gopprof.Reason) {
		cases = append(cases, payload(name, gopprof.KindCPU, p, reasons...))
	}
	one := func(m message) Payload { return whole(m) }
	lookAlike := stack([]int64{1, 1e7}, 1)
	sample := message{}.Bytes(profiletest.Sample, lookAlike)

	add("10 million samples", zip(with(10_000_000, func(uint64) message { return sample })), tooLarge)
	add("10 million samples, not compressed", with(10_000_000, func(uint64) message { return sample }), tooLarge)
	add("as many samples as go", zip(with(199_000, func(uint64) message { return sample })), harmless)
	add("100,000 different stacks", zip(with(100_000, ownStack)), harmless)
	add("50,000 functions, each a stack", zip(with(49_000, ownPlace)), harmless)
	add("1,300 stacks 4,000 deep", zip(with(1_300, deepStack)), harmless, tooLarge)
	add("inlined frames without number", zip(inlined(4_000, 4_900)), harmless, tooLarge)
	add("locations 100,000 deep", zip(one(begun("main.f").Bytes(profiletest.Sample,
		message{}.Bytes(profiletest.SampleLocation, bytes.Repeat([]byte{1}, 100_000)).Packed(profiletest.SampleValue, 1, 1)))), tooLarge)
	add("300,000 locations", zip(with(300_000, func(i uint64) message { return message{}.Bytes(profiletest.Location, message{}.Varint(1, i+2)) })), harmless, tooLarge)
	add("300,000 functions", zip(with(300_000, func(i uint64) message { return message{}.Bytes(profiletest.Function, message{}.Varint(1, i+2)) })), harmless, tooLarge)
	add("300,000 mappings", zip(with(300_000, func(i uint64) message { return message{}.Bytes(profiletest.Mapping, message{}.Varint(1, i+2)) })), harmless, tooLarge)
	add("a million strings", zip(with(1_000_000, func(uint64) message { return message{}.Text(profiletest.String, "x") })), tooLarge)
	add("strings of 100 MB", zip(with(100, longString)), tooLarge)
	add("strings of 100 MB, not compressed", with(100, longString), tooLarge)
	add("strings of 30 MB", zip(with(30, longString)), harmless)
	add("function name of 20 MB", zip(one(sampled(begun(strings.Repeat("f", 20<<20)), 1, 1e7))), harmless)
	add("10 million comments", zip(with(10_000, func(uint64) message { return message{}.Bytes(profiletest.Comment, bytes.Repeat([]byte{1}, 1000)) })), tooLarge)
	add("a million labels", zip(with(1_000, labels)), harmless)
	add("a million value types", zip(with(1_000_000, func(uint64) message { return message{}.Bytes(profiletest.SampleType, nil) })), tooLarge, invalid)
	add("a million unknown fields", zip(with(1_000_000, func(i uint64) message { return message{}.Varint(200, i) })), harmless)
	add("names that nothing makes shorter, and places without one", zip(after(noisyNames(40_000, 400), 100_000, func(i uint64) message {
		return message{}.Bytes(profiletest.Location, message{}.Varint(1, i+50_000))
	})), harmless)
	add("names that cannot be printed, and places without one", zip(after(rawNames(40_000, 360), 100_000, func(i uint64) message {
		return message{}.Bytes(profiletest.Location, message{}.Varint(1, i+50_000))
	})), harmless, tooLarge)
	add("expression without end", zip(one(dropping("((((a*)*)*)*)*$"))), harmless)
	return cases
}

// ownStack is a stack of 20 frames that no other has, each in a function of its own.
func ownStack(i uint64) message {
	if i < 5_000 {
		m := message{}.Text(profiletest.String, numberedName(i))
		return located(m, i+2, i+6)
	}
	frames := make([]uint64, 20)
	for j := range frames {
		frames[j] = (i*uint64(2*j+1)*7919)%5_000 + 2
	}
	return message{}.Bytes(profiletest.Sample, stack([]int64{1, int64(i) * 1000}, frames...))
}

func numberedName(i uint64) string {
	return "example.com/service/internal/package" + strconv.FormatUint(i, 10) + ".(*Type).Method"
}

// deepStack is a stack of 4,000 frames, each the only one at its place.
func deepStack(i uint64) message {
	frames := make([]uint64, 4_000)
	for j := range frames {
		frames[j] = 1
	}
	return message{}.Bytes(profiletest.Sample, stack([]int64{1, int64(i) + 1}, frames...))
}

// inlined has one location of many inlined calls in many stacks.
func inlined(lines, stacks int) Payload {
	location := message{}.Varint(1, 2)
	for range lines {
		location = location.Bytes(profiletest.LocationLine, message{}.Varint(1, 1))
	}
	head := message{}.Bytes(profiletest.Location, location)
	return with(stacks, func(i uint64) message {
		if i == 0 {
			return head
		}
		return message{}.Bytes(profiletest.Sample, stack([]int64{1, int64(i)}, 2))
	})
}

func longString(uint64) message {
	return message{}.Text(profiletest.String, strings.Repeat("long name. ", 1<<20/11))
}

func labels(uint64) message {
	s := stack([]int64{1, 1e7}, 1)
	label := message{}.Bytes(profiletest.SampleLabel, message{}.Varint(1, 5).Varint(2, 5))
	return message{}.Bytes(profiletest.Sample, append(s, bytes.Repeat(label, 1000)...))
}

// noisyNames is a profile of so many functions, each a stack, with names of so many printable
// bytes.
func noisyNames(functions, bytes int) message {
	return named(functions, bytes, func(name []byte) {
		for j := range name {
			name[j] = ' ' + name[j]%95
		}
	})
}

// rawNames is the same of bytes that are no text: printed, each may take three.
func rawNames(functions, bytes int) message { return named(functions, bytes, func([]byte) {}) }

func named(functions, bytes int, print func(name []byte)) message {
	m := sampled(begun("main.f"), 1, 1e7)
	r := rand.NewChaCha8([32]byte{})
	name := make([]byte, bytes)
	for i := range uint64(functions) {
		_, _ = r.Read(name) // never fails
		print(name)
		m = located(m.Bytes(profiletest.String, name), i+2, i+6)
		m = m.Bytes(profiletest.Sample, stack([]int64{1, 1e7}, i+2))
	}
	return m
}

// dropping asks the reader to drop frames by a regular expression.
func dropping(expression string) message {
	const dropFrames, keepFrames = 7, 8
	m := sampled(begun(strings.Repeat("a", 1000)+"b"), 1, 1e7).Text(profiletest.String, expression)
	return m.Varint(dropFrames, 6).Varint(keepFrames, 6)
}

// values are numbers that no profile can have.
func values() []Case {
	nan := int64(math.Float64bits(math.NaN()))
	inf := int64(math.Float64bits(math.Inf(-1)))
	var cases []Case
	for name, v := range map[string][]int64{
		"negative values": {-1, -1e7}, "least values": {math.MinInt64, math.MinInt64}, "huge values": {math.MaxInt64, math.MaxInt64},
		"values that are NaN as floats": {nan, nan}, "values that are infinite as floats": {inf, inf}, "zeros": {0, 0},
	} {
		m := sampled(sampled(sampled(begun("main.f"), v...), v...), 1, 1e7)
		m = m.Varint(profiletest.Duration, uint64(v[0])).Varint(profiletest.Period, uint64(v[1])).Varint(9, uint64(v[0]))
		cases = append(cases, payload(name, gopprof.KindCPU, whole(m), harmless))
	}
	mixed := sampled(sampled(sampled(begun("main.f"), 1, math.MaxInt64), 1, math.MinInt64), -1, 7)
	return append(cases,
		payload("values that cancel out", gopprof.KindCPU, whole(mixed), harmless),
		payload("too few values", gopprof.KindCPU, whole(sampled(begun("main.f"), 1)), invalid),
		payload("too many values", gopprof.KindCPU, whole(sampled(begun("main.f"), 1, 2, 3)), invalid),
		payload("no value types", gopprof.KindCPU, whole(message{}.Text(profiletest.String, "").Bytes(profiletest.Sample, message{})), invalid),
	)
}

// references are numbers of things that are not there, are there twice, or go in circles.
func references() []Case {
	var cases []Case
	add := func(name string, m message, reasons ...gopprof.Reason) {
		cases = append(cases, payload(name, gopprof.KindCPU, whole(m), reasons...))
	}
	m := func() message { return sampled(begun("main.f"), 1, 1e7) }
	circle := located(located(m(), 2, 3), 3, 4)
	for range 100 {
		circle = circle.Bytes(profiletest.Sample, stack([]int64{1, 1e7}, inCircles(600)...))
	}
	add("stacks that go in circles", circle, harmless)
	add("location twice", located(m(), 1, 3), invalid, harmless)
	add("location 0", located(m(), 0, 3), invalid, harmless)
	add("location of the largest number", located(m(), math.MaxUint64, 3), harmless, invalid)
	add("line of a function that is not there", m().Bytes(profiletest.Location, message{}.Varint(1, 9).Bytes(profiletest.LocationLine, message{}.Varint(1, 99))), invalid)
	add("stack of a location that is not there", m().Bytes(profiletest.Sample, stack([]int64{1, 1}, 99)), invalid)
	add("mapping that is not there", m().Bytes(profiletest.Location, message{}.Varint(1, 9).Varint(2, 99)), invalid, harmless)
	add("mapping that ends before it begins", m().Bytes(profiletest.Mapping, message{}.Varint(1, 1).Varint(2, math.MaxUint64).Varint(3, 1).Varint(4, math.MaxUint64)), harmless, invalid)
	add("string that is not there", m().Bytes(profiletest.Function, message{}.Varint(1, 9).Varint(2, 1<<40)), invalid)
	add("string of a negative number", m().Bytes(profiletest.Function, message{}.Varint(1, 9).Varint(2, math.MaxUint64)), invalid)
	add("line of a negative number", m().Bytes(profiletest.Location, message{}.Varint(1, 9).Bytes(profiletest.LocationLine, message{}.Varint(1, 1).Varint(2, math.MaxUint64))), harmless)
	add("two profiles in a row", append(m().Varint(9, 5), m().Varint(9, 5)...), invalid)
	return cases
}

// inCircles returns 1 2 3 1 2 3 …, n numbers.
func inCircles(n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = uint64(i%3 + 1)
	}
	return out
}
