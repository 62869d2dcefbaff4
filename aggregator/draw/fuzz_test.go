package draw

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/test/hostile"
)

// FuzzFrame: whatever comes through a worker's pipe, from either side, it is a frame of a
// bounded size or an error.
func FuzzFrame(f *testing.F) {
	var job, done bytes.Buffer
	if err := errors.Join(writeFrame(&job, request{Job: json.RawMessage(`{"kind":"cpu"}`), Size: 3}, []byte("abc")), writeFrame(&done, response{Error: "x"}, nil)); err != nil {
		f.Fatal(err)
	}
	f.Add(job.Bytes())
	f.Add(job.Bytes()[:job.Len()-1])
	f.Add(append(bytes.Clone(done.Bytes()), job.Bytes()...))
	f.Add([]byte("\xff\xff\xff\xff{}"))
	f.Add([]byte("\x00\x00\x00\x0d{\"size\":1e18}"))
	f.Add([]byte("\x00\x00\x00\x0b{\"size\":-1}"))
	const limit = 1 << 10
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, header := range []any{&request{}, &response{}} {
			r := bytes.NewReader(data)
			err := readHeader(r, header)
			if err != nil {
				if !errors.Is(err, errFrame) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("error %v", err)
				}
				continue
			}
			again, err := json.Marshal(header)
			if err != nil {
				t.Fatal(err)
			}
			var said struct{ Size int64 }
			if err := json.Unmarshal(again, &said); err != nil {
				t.Fatal(err)
			}
			if body, err := readBody(r, said.Size, limit); err == nil && int64(len(body)) != said.Size || len(body) > limit {
				t.Errorf("a body of %d bytes, announced with %d", len(body), said.Size)
			}
		}
	})
}

// FuzzCompose: whatever a profile says, the driver makes a graph of it or says why not,
// keeps nothing for the next one, and makes the same of its condensed form.
func FuzzCompose(f *testing.F) {
	for _, data := range hostile.Files(8 << 10) {
		f.Add(data)
	}
	lim := profile.DefaultLimits()
	lim.DecompressedBytes, lim.MemoryBytes, lim.Frames = 1<<18, 2<<20, 50_000 // the fuzzer's time is for shapes
	f.Fuzz(func(t *testing.T, data []byte) {
		var first []byte
		for _, fraction := range []float64{0, nodeFraction} {
			p, err := profile.Parse(data, lim)
			if err != nil {
				return
			}
			c, err := p.Clean(gopprof.KindCPU)
			if err != nil || len(c.Raw().Sample) == 0 {
				return
			}
			if fraction > 0 {
				c = c.Condense(fraction)
			}
			dot, err := composeDOT(c, "cpu", 80)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.ContainsFunc(dot, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
				t.Errorf("control characters: %q", dot)
			}
			if first != nil && !bytes.Equal(first, dot) {
				t.Errorf("another graph the second time:\n%s\n%s", first, dot)
			}
			first = dot
		}
	})
}
