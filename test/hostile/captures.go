package hostile

import (
	"encoding/binary"
	"io"
	"math/rand/v2"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// captures answer each kind with what is as large or as costly as one may be: they are in
// memory together.
func captures() []Case {
	const most = 16<<20 - 1<<10 // of one profile, by default
	large := Case{Name: "every kind as large as one may be", Kind: gopprof.KindCPU, Payload: padded(valid(gopprof.KindCPU), most), Reasons: []gopprof.Reason{tooLarge}}
	large.More = map[gopprof.Kind]Payload{gopprof.KindTrace: joined(whole([]byte(traceHead)), noise(1<<20))}
	for _, k := range []gopprof.Kind{gopprof.KindHeap, gopprof.KindAllocs, gopprof.KindGoroutine, gopprof.KindMutex, gopprof.KindBlock, gopprof.KindThreadcreate} {
		large.More[k] = padded(valid(k), most)
	}
	costly := Case{Name: "large kinds and then costly ones", Kind: gopprof.KindCPU, Payload: padded(valid(gopprof.KindCPU), 12<<20), Reasons: []gopprof.Reason{harmless}}
	costly.More = map[gopprof.Kind]Payload{
		gopprof.KindHeap:   padded(valid(gopprof.KindHeap), 3<<20),
		gopprof.KindAllocs: zip(after(valid(gopprof.KindAllocs), 49_000, ownPlace)),
		gopprof.KindMutex:  zip(after(valid(gopprof.KindMutex), 1_200, deepStack)),
		gopprof.KindBlock:  zip(after(valid(gopprof.KindBlock), 100_000, ownStack)),
	}
	halves := Case{Name: "two kinds that are as large together as a capture may be", Kind: gopprof.KindCPU, Payload: padded(valid(gopprof.KindCPU), 12<<20-1<<10)}
	halves.More = map[gopprof.Kind]Payload{gopprof.KindHeap: padded(valid(gopprof.KindHeap), 12<<20)}
	unequal := Case{Name: "a kind, and then one as large as one may be", Kind: gopprof.KindHeap, Payload: padded(valid(gopprof.KindHeap), 8<<20)}
	unequal.More = map[gopprof.Kind]Payload{gopprof.KindCPU: padded(valid(gopprof.KindCPU), most)}
	halves.Reasons = []gopprof.Reason{harmless, tooLarge} // an agent takes less by default than an aggregator takes in
	unequal.Reasons = halves.Reasons
	return []Case{large, costly, halves, unequal}
}

const traceHead = "go 1.26 trace\x00\x00\x00"

// valid is a small profile of a kind.
func valid(k gopprof.Kind) message {
	switch k {
	case gopprof.KindHeap, gopprof.KindAllocs:
		return sampled(begunAs("main.f", "alloc_space", "bytes", "inuse_space", "bytes"), 1<<20, 1<<20)
	case gopprof.KindMutex, gopprof.KindBlock:
		return sampled(begunAs("main.f", "contentions", "count", "delay", "nanoseconds"), 1, 1e7)
	case gopprof.KindCPU:
		return sampled(begun("main.f"), 1, 1e7)
	}
	return sampled(begunAs("main.f", string(k), "count"), 1)
}

// padded is a profile of so many bytes that nothing makes smaller.
func padded(m message, bytes int64) Payload {
	const unknown = 99<<3 | 2
	left := bytes - int64(len(m)) - 6 // tag and length
	head := binary.AppendUvarint(binary.AppendUvarint(m, unknown), uint64(left))
	return joined(whole(head), noise(left))
}

func noise(n int64) Payload {
	return func(w io.Writer) error {
		_, err := io.CopyN(w, rand.NewChaCha8([32]byte{}), n)
		return err
	}
}

// ownPlace is a function with a name, a location and a stack of its own.
func ownPlace(i uint64) message {
	m := message{}.Text(profiletest.String, numberedName(i))
	m = located(m, i+2, i+6)
	return append(m, message{}.Bytes(profiletest.Sample, stack([]int64{1, 1 + int64(i)}, i+2))...)
}
