package hostile

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"io"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

const (
	tooLarge = gopprof.ReasonTooLarge
	invalid  = gopprof.ReasonInvalidProfile
	harmless = gopprof.Reason("")
	// undecodable is what the aggregator says of a capture that it does not take in.
	undecodable = gopprof.ReasonUndecodable
)

// files are bodies that are no profile, or hide how large they are.
func files() []Case {
	cpu := gopprof.KindCPU
	small := profiletest.CPU(1, profiletest.On(1e9, "main.f"))
	return []Case{
		payload("gzip bomb", cpu, bomb(1<<30), tooLarge),
		payload("gzip bomb whose trailer lies", cpu, claiming(bomb(1<<30), 1000), invalid),
		payload("gzip bomb whose trailer says nothing", cpu, claiming(bomb(1<<30), 0), invalid),
		payload("profile with a gigabyte in an unknown field", cpu, bombedProfile, tooLarge),
		payload("nested gzip", cpu, zip(whole(small)), invalid),
		payload("nested gzip bomb", cpu, zip(bomb(1<<30)), invalid),
		payload("ten times nested gzip", cpu, nested(10, whole(small)), invalid),
		payload("thousands of gzip members", cpu, repeated(20_000, small), invalid, tooLarge),
		payload("gigabyte of zeros", cpu, zeros(1<<30), tooLarge),
		payload("16 MiB of zeros", cpu, zeros(16<<20), invalid),
		payload("16 MiB of 0xff", cpu, repeated(16<<10, bytes.Repeat([]byte{0xff}, 1<<10)), invalid),
		payload("endless trace", gopprof.KindTrace, joined(whole([]byte(traceHead)), zeros(1<<30)), tooLarge),
		payload("trace without a header", gopprof.KindTrace, zeros(1<<20), invalid),
		payload("trace for a profile", cpu, joined(whole([]byte(traceHead)), zeros(1<<10)), invalid),
		payload("profile for a trace", gopprof.KindTrace, whole(small), invalid),
		payload("another kind", gopprof.KindHeap, whole(small), invalid),
		payload("nothing", cpu, whole(nil), invalid, undecodable), // the bus takes no capture of an empty file
		payload("gzip of nothing", cpu, zip(whole(nil)), invalid),
		payload("groups", cpu, repeated(1<<20, []byte{0x0b}), invalid),
		payload("varint without end", cpu, repeated(1<<10, bytes.Repeat([]byte{0x80}, 1<<10)), invalid),
		payload("length beyond the file", cpu, whole([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}), invalid),
	}
}

// texts are formats that are not pprof's own; some that older parsers still take.
func texts() []Case {
	words := make([]byte, 0, 88)
	for _, w := range []uint64{0, 3, 0, 10000, 0, 1, 1, 0x400000, 0, 1, 0} {
		words = binary.LittleEndian.AppendUint64(words, w)
	}
	var cases []Case
	for name, text := range map[string]string{
		"text: heap":            "heap profile: 1: 2 [3: 4] @ heap/1048576\n1: 2 [3: 4] @ 0x1 0x2\n#\t0x1\tmain.f+0x1\tf.go:1\n\n# runtime.MemStats\n",
		"text: goroutines":      "goroutine profile: total 1\n1 @ 0x1 0x2\n#\t0x1\tmain.f+0x1\tf.go:1\n",
		"text: stacks":          "goroutine 1 [running]:\nmain.main()\n\t/f.go:1 +0x1\n",
		"text: page":            "\n<!DOCTYPE html><html><script>alert(1)</script></html>",
		"text: JSON":            `{"sampleType":[{"type":"cpu"}]}`,
		"text: long":            strings.Repeat("a line that says nothing\n", 40_000),
		"legacy: heap":          "heap profile: 1: 2 [3: 4] @ heapprofile\n1: 2 [3: 4] @ 0x1 0x2\nMAPPED_LIBRARIES:\n400000-500000 r-xp 00000000 00:00 0 /bin/x\n",
		"legacy: contention":    "--- contentionz 1 ---\ncycles/second = 1\n1 1 @ 0x1\n",
		"legacy: threads":       "--- threadz 1 ---\n\n--- Thread 1 (name: x/1) stack: ---\n  PC: 0x1\n",
		"legacy: CPU":           string(words) + "400000-500000 r-xp 00000000 00:00 0 /bin/x\n",
		"legacy: java":          "--- heapz 1 ---\nformat = java\nresolution = bytes\n1 1 @ 0x1\n",
		"legacy: text with NUL": "heap profile:\x00 1: 2\x00",
	} {
		cases = append(cases, payload(name, gopprof.KindCPU, whole([]byte(text)), invalid))
	}
	return cases
}

// whole writes bytes.
func whole(data []byte) Payload {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

func repeated(n int, data []byte) Payload {
	return func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 64<<10)
		for range n {
			if _, err := b.Write(data); err != nil {
				return err
			}
		}
		return b.Flush()
	}
}

func zeros(n int64) Payload {
	return func(w io.Writer) error {
		_, err := io.CopyN(w, zeroReader{}, n)
		return err
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func joined(all ...Payload) Payload {
	return func(w io.Writer) error {
		for _, p := range all {
			if err := p(w); err != nil {
				return err
			}
		}
		return nil
	}
}

func zip(p Payload) Payload {
	return func(w io.Writer) error {
		zw := gzip.NewWriter(w)
		if err := p(zw); err != nil {
			return err
		}
		return zw.Close()
	}
}

func nested(times int, p Payload) Payload {
	for range times {
		p = zip(p)
	}
	return p
}

// bomb is gzip of so many zeros, a multiple of 1 MiB: one compressed mebibyte again and
// again, because compressing a gigabyte takes seconds. Its checksum is wrong, which nobody
// may come to know.
func bomb(size int64) Payload { return bombAfter(nil, size) }

// bombAfter is a bomb that begins with other bytes.
func bombAfter(head []byte, size int64) Payload {
	return func(w io.Writer) error {
		var b bytes.Buffer
		b.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}) // RFC 1952, without a name
		first := deflated(head)
		piece := deflated(make([]byte, 1<<20))
		b.Write(first)
		for range size >> 20 {
			b.Write(piece)
		}
		b.Write([]byte{1, 0, 0, 0xff, 0xff, 0, 0, 0, 0}) // an empty last block, and the checksum
		b.Write(binary.LittleEndian.AppendUint32(nil, uint32(size+int64(len(head)))))
		_, err := w.Write(b.Bytes())
		return err
	}
}

// deflated is data as deflate blocks, none of them the last.
func deflated(data []byte) []byte {
	var b bytes.Buffer
	fw, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = fw.Write(data)
	}
	if err == nil {
		err = fw.Flush()
	}
	if err != nil {
		panic(err) // a bytes.Buffer does not fail
	}
	return b.Bytes()
}

// claiming changes what a gzip trailer says of the size.
func claiming(p Payload, size uint32) Payload {
	return func(w io.Writer) error {
		var b bytes.Buffer
		if err := p(&b); err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(b.Bytes()[b.Len()-4:], size)
		_, err := w.Write(b.Bytes())
		return err
	}
}

// bombedProfile is a valid profile with an unknown field of a gigabyte.
func bombedProfile(w io.Writer) error {
	const size = 1 << 30
	head := binary.AppendUvarint(sampled(begun("main.f"), 1, 1e7), 99<<3|2)
	return bombAfter(binary.AppendUvarint(head, size), size)(w)
}
