package profile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// bomb returns gzip of that many zeros.
func bomb(size int64) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := io.CopyN(zw, zeros{}, size); err != nil {
		panic(err)
	}
	zw.Close() //nolint:errcheck // a bytes.Buffer does not fail
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func text(t *testing.T, name string, debug int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup(name).WriteTo(&b, debug); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// claim returns gzip whose trailer claims another size.
func claim(file []byte, size uint32) []byte {
	file = bytes.Clone(file)
	binary.LittleEndian.PutUint32(file[len(file)-4:], size)
	return file
}

func TestParseRefuses(t *testing.T) {
	good := profiletest.Gzip(small())
	deep := mainF().Bytes(fieldSample, message{}.Bytes(fieldSampleLocation, bytes.Repeat([]byte{1}, 5000)).Packed(fieldSampleValue, 1, 1))
	many := func(n int, piece message) []byte { return append(mainF(), bytes.Repeat(piece, n)...) }
	for name, test := range map[string]struct {
		file []byte
		want error
		says string
	}{
		"nothing":                {nil, ErrInvalid, "empty file"},
		"gzip of nothing":        {profiletest.Gzip(nil), ErrInvalid, "empty file"},
		"gzip cut short":         {good[:len(good)-9], ErrInvalid, "gzip"},
		"two bytes of gzip":      {good[:2], ErrInvalid, "gzip cut short"},
		"gzip bomb":              {bomb(64 << 20), ErrTooLarge, "67108864 bytes decompressed"},
		"bomb that claims less":  {claim(bomb(1<<20), 1000), ErrInvalid, "trailer is wrong"},
		"more claimed":           {claim(good, uint32(len(small())+1)), ErrInvalid, "decompressing"},
		"much more claimed":      {claim(good, 30<<20), ErrInvalid, "more than"},
		"bytes after gzip":       {append(bytes.Clone(good), good...), ErrInvalid, ""},
		"gzip after nothing":     {append(profiletest.Gzip(nil), good...), ErrInvalid, ""},
		"gzip within gzip":       {profiletest.Gzip(good), ErrInvalid, "gzip within gzip"},
		"too many bytes":         {make([]byte, 17<<20), ErrTooLarge, "at most 16777216"},
		"HTML":                   {[]byte("\n<html><body>404</body>"), ErrInvalid, "HTML"},
		"heap as text":           {text(t, "heap", 1), ErrInvalid, "not a protocol buffer"},
		"goroutines as text":     {text(t, "goroutine", 1), ErrInvalid, "not a protocol buffer"},
		"stacks as text":         {text(t, "goroutine", 2), ErrInvalid, "not a protocol buffer"},
		"legacy heap":            {[]byte("heap profile: 1: 2 [3: 4] @ heapprofile\n1: 2 [3: 4] @ 0x1 0x2\n"), ErrInvalid, ""},
		"legacy CPU":             {legacyCPU(), ErrInvalid, ""},
		"deep stack":             {deep, ErrTooLarge, "a stack of more than 4096 frames"},
		"many stacks":            {many(200_001, message{}.Bytes(fieldSample, nil)), ErrTooLarge, "more than 200000 stacks"},
		"many strings":           {many(200_001, message{}.Text(fieldString, "x")), ErrTooLarge, "more than 200000 strings"},
		"many functions":         {many(50_001, message{}.Bytes(fieldFunction, nil)), ErrTooLarge, "more than 50000 functions"},
		"two profiles in a row":  {append(append(message{}, small().Varint(9, 5)...), small().Varint(9, 5)...), ErrInvalid, "concatenated"},
		"missing function":       {header().Bytes(fieldLocation, message{}.Varint(1, 1).Bytes(fieldLocationLine, message{}.Varint(1, 9))), ErrInvalid, "nil function"},
		"missing location":       {header().Bytes(fieldSample, message{}.Packed(fieldSampleLocation, 9).Packed(fieldSampleValue, 1, 1)), ErrInvalid, "nil location"},
		"one value of two":       {mainF().Bytes(fieldSample, message{}.Varint(fieldSampleLocation, 1).Varint(fieldSampleValue, 1)), ErrInvalid, "mismatch"},
		"string beyond table":    {header().Bytes(fieldFunction, message{}.Varint(1, 1).Varint(2, 99)), ErrInvalid, "malformed"},
		"first string not empty": {message{}.Text(fieldString, "x"), ErrInvalid, "string_table[0]"},
		"label with long tag":    {small().Bytes(fieldSample, []byte{0x9a, 0x00, 0x00}), ErrInvalid, "oddly encoded"},
		"endless varint":         {bytes.Repeat([]byte{0xff}, 100), ErrInvalid, "not a protocol buffer"},
		"group":                  {[]byte{0x0b, 0x0c}, ErrInvalid, "not a protocol buffer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(test.file, DefaultLimits())
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %v with %q", err, test.want, test.says)
			}
		})
	}
}

// legacyCPU is a binary CPU profile of gperftools: words of 8 bytes.
func legacyCPU() []byte {
	var b []byte
	for _, w := range []uint64{0, 3, 0, 10000, 0, 1, 1, 0x400000, 0, 1, 0} {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return append(b, "400000-500000 r-xp 00000000 00:00 0 /bin/x\n"...)
}

// TestInlinedFramesAreBounded: one location of many inlined calls, in many stacks, is a
// small file and a great many frames.
func TestInlinedFramesAreBounded(t *testing.T) {
	lines := bytes.Repeat(message{}.Bytes(fieldLocationLine, message{}.Varint(1, 1)), 4000)
	m := mainF().Bytes(fieldLocation, append(message{}.Varint(1, 2), lines...))
	twice := m.Bytes(fieldSample, message{}.Packed(fieldSampleLocation, 2, 2).Packed(fieldSampleValue, 1, 1))
	if _, err := Parse(twice, DefaultLimits()); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a stack of 8000 frames: %v", err)
	}
	for range 6000 {
		m = m.Bytes(fieldSample, message{}.Varint(fieldSampleLocation, 2).Packed(fieldSampleValue, 1, 1))
	}
	if _, err := Parse(m, DefaultLimits()); !errors.Is(err, ErrTooLarge) {
		t.Errorf("24 million frames: %v", err)
	}
}

func TestParseLeavesItsInputAlone(t *testing.T) {
	file := []byte(small().Bytes(fieldSample, message{}.Packed(fieldSampleLocation, 1).Packed(fieldSampleValue, 1, 1).Bytes(fieldSampleLabel, message{}.Varint(1, 1).Varint(2, 1))))
	before := bytes.Clone(file)
	if _, err := Parse(file, DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, before) {
		t.Error("the bytes that are to be stored were changed")
	}
}

func TestLabelsNeverLeave(t *testing.T) {
	file := genuine()[gopprof.KindCPU]
	plain, err := gunzip(file, DefaultLimits())
	if err != nil || !bytes.Contains(plain, []byte("secret-of-a-request")) {
		t.Fatalf("the test needs a profile with labels: %v", err)
	}
	p, err := Parse(file, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(p.raw.String(), "secret") {
		t.Error("labels are in the parsed profile")
	}
	for _, s := range p.raw.Sample {
		if s.Label != nil || s.NumLabel != nil {
			t.Fatalf("labels are in the parsed profile: %+v", s)
		}
	}
}

func TestValidateKinds(t *testing.T) {
	same := func(a, b gopprof.Kind) bool {
		pair := func(x, y gopprof.Kind) bool { return (a == x || a == y) && (b == x || b == y) }
		return a == b || pair(gopprof.KindHeap, gopprof.KindAllocs) || pair(gopprof.KindMutex, gopprof.KindBlock)
	}
	for of, file := range genuine() {
		for _, as := range gopprof.Kinds() {
			err := Validate(as, file, DefaultLimits())
			if same(of, as) && err != nil {
				t.Errorf("%s as %s: %v", of, as, err)
			}
			if !same(of, as) && !errors.Is(err, ErrInvalid) {
				t.Errorf("%s as %s: error %v, want ErrInvalid", of, as, err)
			}
		}
	}
	if err := Validate("mystery", profiletest.Gzip(small()), DefaultLimits()); !errors.Is(err, ErrInvalid) {
		t.Errorf("an unknown kind: %v", err)
	}
}

func TestValidateTrace(t *testing.T) {
	var b bytes.Buffer
	if err := trace.Start(&b); err != nil {
		t.Skipf("this process is traced already: run without -trace: %v", err)
	}
	trace.Stop()
	if err := Validate(gopprof.KindTrace, b.Bytes(), DefaultLimits()); err != nil {
		t.Errorf("a genuine trace: %v", err)
	}
	for _, bad := range []string{"", "go 1.26 trace", "go 1.26 trace\x00\x00x more", "go 1. trace\x00\x00\x00\x00\x00\x00", "<html>go 1.26 trace\x00\x00\x00"} {
		if err := Validate(gopprof.KindTrace, []byte(bad), DefaultLimits()); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	lim := DefaultLimits()
	lim.DecompressedBytes = 100
	if err := Validate(gopprof.KindTrace, append(b.Bytes(), make([]byte, 100)...), lim); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large trace: %v", err)
	}
}

func TestReasonOf(t *testing.T) {
	_, large := Parse(bomb(33<<20), DefaultLimits())
	_, invalid := Parse([]byte("x"), DefaultLimits())
	for err, want := range map[error]gopprof.Reason{nil: "", large: gopprof.ReasonTooLarge, invalid: gopprof.ReasonInvalidProfile} {
		if got := ReasonOf(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
