package publish

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"reflect"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

func encoded(t testing.TB, c gopprof.Capture) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := encode(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEntryHoldsTheWholeCapture(t *testing.T) {
	for name, c := range map[string]gopprof.Capture{
		"three profiles": capture(newID(), 300, 1, 70_000),
		"none":           capture(newID()),
		"an empty one":   capture(newID(), 0, 5),
	} {
		t.Run(name, func(t *testing.T) {
			data := encoded(t, c)
			got, sum, err := decode(data)
			if err != nil || !reflect.DeepEqual(got, c) {
				t.Errorf("got %+v, %v, want %+v", got, err, c)
			}
			size, want, err := sizeOf(c)
			if err != nil || size != int64(len(data)) || sum != want {
				t.Errorf("size %d of %d, digests %x and %x, %v", size, len(data), sum, want, err)
			}
		})
	}
}

// Wherever a crash cuts an entry, whichever byte a disk changes, and whatever follows it:
// it is known as torn.
func TestTornAtAnyByte(t *testing.T) {
	data := encoded(t, capture(newID(), 200, 100))
	for n := range data {
		wantTorn(t, data[:n], "cut after byte", n)
		for _, bit := range []byte{1, 0x80} {
			changed := bytes.Clone(data)
			changed[n] ^= bit
			wantTorn(t, changed, "changed at byte", n)
		}
		zeroed := bytes.Clone(data)
		clear(zeroed[n:])               // as file systems leave it that make a file's size durable before its content
		if !bytes.Equal(zeroed, data) { // one digest in 256 ends with a zero
			wantTorn(t, zeroed, "zeros from byte", n)
		}
	}
	wantTorn(t, append(bytes.Clone(data), 0), "one byte more than", len(data))
	wantTorn(t, append(bytes.Clone(data), data...), "twice", len(data))
}

func wantTorn(t *testing.T, data []byte, how string, n int) {
	t.Helper()
	if _, _, err := decode(data); !errors.Is(err, errTorn) {
		t.Fatalf("%s %d: error %v, want torn", how, n, err)
	}
}

func FuzzEntry(f *testing.F) {
	data := encoded(f, capture("01938f00-0000-7000-8000-000000000001", 20, 10))
	f.Add(data)
	f.Add(data[:len(data)-1])
	f.Add([]byte(magic))
	f.Add([]byte(magic + "\xff\xff\xff\xff\xff\xff\xff\xff01234567890123456789012345678901"))
	f.Add(bytes.Replace(data, []byte(`"sizeBytes":20`), []byte(`"sizeBytes":-1`), 1))
	for _, name := range hostile.Names() {
		c := capture("01938f00-0000-7000-8000-000000000001", 20, 10)
		c.Target.Pod, c.Target.Container, c.Trigger.Request = name, name, &gopprof.Request{Who: name}
		f.Add(encoded(f, c))
	}
	for _, file := range hostile.Files(8 << 10) {
		f.Add(file)
		f.Add(append([]byte(magic), file...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// As it is, and as whoever can write to the disk would: with the right digest.
		sum := sha256.Sum256(data[:max(0, len(data)-sha256.Size)])
		for _, entry := range [][]byte{data, append(bytes.Clone(data[:max(0, len(data)-sha256.Size)]), sum[:]...)} {
			c, _, err := decode(entry)
			if err != nil {
				continue
			}
			if err := checkCapture(c); err != nil {
				t.Errorf("decoded a capture that may not be sent: %v", err)
			}
		}
	})
}
