package profile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// hostile makes files that hold as many as possible of one thing; each returns the n-th
// piece of its file.
var hostile = map[string]func(n uint64) message{
	"empty samples": func(uint64) message { return message{}.Bytes(fieldSample, nil) },
	"samples": func(uint64) message {
		return message{}.Bytes(fieldSample, message{}.Packed(fieldSampleLocation, 1).Packed(fieldSampleValue, 1, 1))
	},
	"samples, not packed": func(uint64) message {
		return message{}.Bytes(fieldSample, message{}.Varint(fieldSampleLocation, 1).Varint(fieldSampleValue, 1).Varint(fieldSampleValue, 1))
	},
	"frames": func(uint64) message {
		return message{}.Bytes(fieldSample, message{}.Bytes(fieldSampleLocation, bytes.Repeat([]byte{1}, 4000)).Packed(fieldSampleValue, 1, 1))
	},
	"frames, not packed": func(uint64) message {
		return message{}.Bytes(fieldSample, append(bytes.Repeat([]byte{8, 1}, 4000), message{}.Packed(fieldSampleValue, 1, 1)...))
	},
	"values": func(uint64) message {
		return message{}.Bytes(fieldSample, message{}.Bytes(fieldSampleValue, bytes.Repeat([]byte{1}, 100000)))
	},
	"labels": func(uint64) message {
		label := message{}.Bytes(fieldSampleLabel, message{}.Varint(1, 1).Varint(2, 1))
		return message{}.Bytes(fieldSample, append(bytes.Repeat(label, 1000), message{}.Packed(fieldSampleValue, 1, 1)...))
	},
	"locations": func(n uint64) message { return message{}.Bytes(fieldLocation, message{}.Varint(1, n)) },
	"locations with far IDs": func(n uint64) message {
		return message{}.Bytes(fieldLocation, message{}.Varint(1, n<<30))
	},
	"locations with lines": func(n uint64) message {
		return message{}.Bytes(fieldLocation, message{}.Varint(1, n).Bytes(fieldLocationLine, message{}.Varint(1, 1)))
	},
	"lines": func(n uint64) message {
		return message{}.Bytes(fieldLocation, append(message{}.Varint(1, n), bytes.Repeat(message{}.Bytes(fieldLocationLine, message{}.Varint(1, 1)), 50000)...))
	},
	"functions":              func(n uint64) message { return message{}.Bytes(fieldFunction, message{}.Varint(1, n)) },
	"functions with far IDs": func(n uint64) message { return message{}.Bytes(fieldFunction, message{}.Varint(1, n<<30)) },
	"mappings":               func(n uint64) message { return message{}.Bytes(fieldMapping, message{}.Varint(1, n)) },
	"mappings with far IDs":  func(n uint64) message { return message{}.Bytes(fieldMapping, message{}.Varint(1, n<<30)) },
	"empty strings":          func(uint64) message { return message{}.Text(fieldString, "") },
	"short strings":          func(n uint64) message { return message{}.Bytes(fieldString, binary.AppendUvarint(nil, n)) },
	"long strings":           func(uint64) message { return message{}.Text(fieldString, strings.Repeat("x", 33000)) },
	"value types":            func(uint64) message { return message{}.Bytes(fieldSampleType, nil) },
	"period types":           func(uint64) message { return message{}.Bytes(fieldPeriodType, nil) },
	"comments":               func(uint64) message { return message{}.Bytes(fieldComment, bytes.Repeat([]byte{1}, 100)) },
	"unknown fields":         func(n uint64) message { return message{}.Varint(99, n) },
}

// largest returns the largest file of the pieces that the scan lets through.
func largest(t *testing.T, piece func(uint64) message, lim Limits) []byte {
	t.Helper()
	file := []byte(mainF())
	s := &scanner{lim: lim}
	if err := eachField(file, s.field); err != nil {
		t.Fatal(err)
	}
	for n := uint64(2); ; n++ {
		m := piece(n)
		size := int64(len(file) + len(m))
		if err := eachField(bytes.Clone(m), s.field); err != nil || s.cost+size > lim.MemoryBytes || size > lim.DecompressedBytes {
			return file
		}
		file = append(file, m...)
	}
}

// allocatedBy returns the bytes that f allocates in all, and so at most at once.
func allocatedBy(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// costLimits are the default limits; under the race detector an eighth of them, and half as
// much again is allowed.
func costLimits() (lim Limits, allowed int64) {
	lim = DefaultLimits()
	lim.CompressedBytes = lim.DecompressedBytes
	if !raceDetector {
		return lim, lim.MemoryBytes
	}
	lim.CompressedBytes, lim.DecompressedBytes, lim.MemoryBytes = lim.CompressedBytes/8, lim.DecompressedBytes/8, lim.MemoryBytes/8
	lim.Samples, lim.Strings = lim.Samples/8, lim.Strings/8
	return lim, lim.MemoryBytes * 3 / 2
}

// TestParseCost measures what parsing allocates for the worst files that the limits let
// through.
func TestParseCost(t *testing.T) {
	lim, allowed := costLimits()
	for name, piece := range hostile {
		t.Run(name, func(t *testing.T) {
			file := largest(t, piece, lim)
			var err error
			bytes := allocatedBy(func() { _, err = Parse(file, lim) })
			t.Logf("%d bytes of file, %d bytes allocated, error: %v", len(file), bytes, err)
			if errors.Is(err, ErrTooLarge) {
				t.Errorf("the scan should let the file through: %v", err)
			}
			if bytes > allowed {
				t.Errorf("parsing allocated %d bytes, more than the limit of %d", bytes, allowed)
			}
		})
	}
}

// TestRefusalIsCheap checks that more than that is refused for nothing but a copy.
func TestRefusalIsCheap(t *testing.T) {
	lim, _ := costLimits()
	for name, piece := range hostile {
		switch name {
		case "unknown fields", "labels", "long strings":
			continue // only the size of the file bounds them
		}
		t.Run(name, func(t *testing.T) {
			file := []byte(mainF())
			for n := uint64(2); int64(len(file)) < lim.DecompressedBytes/4; n++ {
				file = append(file, piece(n)...)
			}
			var err error
			bytes := allocatedBy(func() { _, err = Parse(file, lim) })
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("not refused as too large: %v", err)
			}
			if bytes > int64(len(file))+1<<20 {
				t.Errorf("refusing %d bytes allocated %d", len(file), bytes)
			}
		})
	}
}

// TestLargeHeapFits checks that the limits are no obstacle to a service as large as there
// are: 100,000 stacks, 20 deep, over 50,000 places in 10,000 functions.
func TestLargeHeapFits(t *testing.T) {
	m := header()
	for i := range uint64(10_000) {
		m = m.Text(fieldString, fmt.Sprintf("github.com/example/service/internal/package%d.(*Type).Method", i))
		m = m.Text(fieldString, fmt.Sprintf("/home/build/service/internal/package%d/file.go", i))
		m = m.Bytes(fieldFunction, message{}.Varint(1, i+1).Varint(2, 5+2*i).Varint(3, 5+2*i).Varint(4, 6+2*i))
	}
	for i := range uint64(50_000) {
		line := message{}.Varint(1, i/5+1).Varint(2, i)
		m = m.Bytes(fieldLocation, message{}.Varint(1, i+1).Varint(3, 4<<20+i).Bytes(fieldLocationLine, line))
	}
	label := message{}.Varint(1, 1).Varint(3, 48)
	for i := range uint64(100_000) {
		stack := make([]uint64, 20)
		for j := range stack {
			stack[j] = (i*uint64(j+1)*7919)%50_000 + 1
		}
		m = m.Bytes(fieldSample, message{}.Packed(fieldSampleLocation, stack...).Packed(fieldSampleValue, i, i*512).Bytes(fieldSampleLabel, label))
	}
	p, err := Parse(m, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if top := p.Top(gopprof.KindCPU, 20); top.Samples < 49_000 || len(top.Functions) < 20 {
		t.Errorf("%d stacks, %d functions", top.Samples, len(top.Functions))
	}
}

// TestWeighCost measures what a profile holds when it is parsed and weighed, for names that take
// more to print than to read: of one string many functions may have their file's name.
func TestWeighCost(t *testing.T) {
	lim, allowed := costLimits()
	unprintable := func(n uint64, size int) []byte {
		return append(binary.AppendUvarint(nil, n), bytes.Repeat([]byte{0xff}, size)...)
	}
	// named are functions in places of their own, with the names that strings from n+5 on have.
	named := func(n, name, file uint64) message {
		m := message{}.Bytes(fieldFunction, message{}.Varint(1, n).Varint(2, name).Varint(3, name).Varint(4, file).Varint(5, n))
		return m.Bytes(fieldLocation, message{}.Varint(1, n).Bytes(fieldLocationLine, message{}.Varint(1, n)))
	}
	for name, piece := range map[string]func(n uint64) message{
		"one file": func(n uint64) message {
			if n == 2 {
				return message{}.Bytes(fieldString, unprintable(n, 512))
			}
			return append(message{}.Bytes(fieldString, binary.AppendUvarint(nil, n)), named(n, n+4, 6)...)
		},
		"names of their own": func(n uint64) message {
			return append(message{}.Bytes(fieldString, unprintable(n, 170)), named(n, n+4, n+4)...)
		},
		"long names": func(n uint64) message {
			return append(message{}.Text(fieldString, fmt.Sprint(n)+strings.Repeat("x", 600)), named(n, n+4, n+4)...)
		},
		"objects without names": func(n uint64) message {
			if n == 2 {
				m := message{}.Text(fieldString, strings.Repeat("x", 511))
				return m.Bytes(fieldMapping, message{}.Varint(1, 1).Varint(5, 6))
			}
			m := message{}.Bytes(fieldFunction, message{}.Varint(1, n).Varint(5, n))
			return m.Bytes(fieldLocation, message{}.Varint(1, n).Varint(2, 1).Bytes(fieldLocationLine, message{}.Varint(1, n)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			most := lim
			most.MemoryBytes -= 1 << 10 // for the stack
			file := inF(largest(t, piece, most), 3, 30_000_000)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			p, err := Parse(file, lim)
			if err != nil {
				t.Fatal(err)
			}
			w, err := p.Weigh(gopprof.KindCPU)
			if err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > allowed {
				t.Errorf("%d functions of a file of %d bytes hold %d bytes, more than the limit of %d", len(w.Functions), len(file), held, allowed)
			} else {
				t.Logf("%d functions of a file of %d bytes hold %d bytes", len(w.Functions), len(file), held)
			}
			runtime.KeepAlive(file)
		})
	}
}
