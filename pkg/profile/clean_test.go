package profile

import (
	"errors"
	"math"
	"strings"
	"testing"
	"unicode"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"main.(*T[...]).f":            "main.(*T[...]).f",
		"naïve.日本":                    "naïve.日本",
		"a\x00b":                      "a�b",
		"\x1b[31mred\x1b[0m":          "�[31mred�[0m",
		"line\nbreak\r\t":             "line�break��",
		"\u202eevil\u2066":            "�evil�",
		"broken\xffutf8":              "broken�utf8",
		"zero\u200bwidth\ufeff":       "zero�width�",
		strings.Repeat("x", 30):       strings.Repeat("x", 20) + "…",
		strings.Repeat("x", 20):       strings.Repeat("x", 20),
		strings.Repeat("é", 12):       strings.Repeat("é", 10) + "…",
		"x" + strings.Repeat("é", 12): "x" + strings.Repeat("é", 9) + "…",
		strings.Repeat("\x80", 30):    "…",
	} {
		if got := Printable(in, 20); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestCleanOfHostileNames(t *testing.T) {
	for _, name := range profiletest.HostileNames() {
		p, err := Parse(profiletest.Hostile(name), DefaultLimits())
		if err != nil {
			t.Fatalf("%.40q: %v", name, err)
		}
		c, err := p.Clean(gopprof.KindCPU)
		if err != nil {
			t.Fatalf("%.40q: %v", name, err)
		}
		checkClean(t, c)
	}
}

// checkClean checks everything that Clean promises.
func checkClean(t *testing.T, c *Profile) {
	t.Helper()
	raw := c.raw
	if err := raw.CheckValid(); err != nil {
		t.Errorf("cleaned profile is not valid: %v", err)
	}
	if len(raw.Comments) > 0 || raw.DocURL != "" || raw.DropFrames != "" || raw.KeepFrames != "" || raw.DefaultSampleType != "" || raw.PeriodType.Type != "" || raw.PeriodType.Unit != "" {
		t.Errorf("strings are left: %+v", raw)
	}
	if raw.DurationNanos < 0 || raw.TimeNanos < 0 {
		t.Errorf("times before time: %d, %d", raw.TimeNanos, raw.DurationNanos)
	}
	for _, f := range raw.Function {
		if len(f.Name) > 4*maxDrawnName || strings.ContainsFunc(f.Name, func(r rune) bool { return !unicode.IsPrint(r) }) || f.SystemName != f.Name || f.Filename != "" || f.StartLine < 0 {
			t.Errorf("function %+v", f)
		}
	}
	for _, m := range raw.Mapping {
		if m.BuildID != "" || len(m.File) > maxDrawnObject || strings.ContainsAny(m.File, `"\/<>&;`) {
			t.Errorf("mapping %+v", m)
		}
	}
	for _, s := range raw.Sample {
		if len(s.Value) != 1 || s.Label != nil || s.NumLabel != nil || s.NumUnit != nil {
			t.Errorf("sample %+v", s)
		}
	}
}

func TestCleanKeepsWhatCounts(t *testing.T) {
	for kind, file := range genuine() {
		p, err := Parse(file, DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.Clean(kind)
		if err != nil {
			t.Fatal(err)
		}
		checkClean(t, c)
		want, got := p.Top(kind, 0), c.Top(kind, 0)
		if got.Total != want.Total || len(got.Functions) != len(want.Functions) || got.DurationSeconds != want.DurationSeconds {
			t.Errorf("%s: total %d of %d functions, want %d of %d", kind, got.Total, len(got.Functions), want.Total, len(want.Functions))
			continue
		}
		for i, f := range want.Functions {
			if g := got.Functions[i]; g.Name != f.Name || g.Flat != f.Flat || g.Cum != f.Cum {
				t.Errorf("%s: %+v, want %+v", kind, g, f)
			}
		}
	}
}

// A file may name more mappings than its stacks lead to, and each would cost whoever draws it.
func TestCleanLeavesOutWhatNoStackLeadsTo(t *testing.T) {
	m := mainF()
	for id := range uint64(1000) {
		m = m.Bytes(fieldMapping, message{}.Varint(1, id+1).Varint(5, 5)) // named like the function
	}
	m = m.Bytes(fieldLocation, message{}.Varint(1, 9).Varint(2, 500))
	m = m.Bytes(fieldSample, message{}.Packed(fieldSampleLocation, 9).Packed(fieldSampleValue, 1, 1))
	p, err := Parse(m, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Clean(gopprof.KindCPU)
	if err != nil {
		t.Fatal(err)
	}
	checkClean(t, c)
	if n := len(c.raw.Mapping); n != 2 {
		t.Errorf("%d mappings, want the program's and the one in use", n)
	}
}

func TestCleanRefusesWhatCannotBeDrawnTrue(t *testing.T) {
	m := inF(inF(mainF(), 1, math.MaxInt64-1), 1, 2)
	p, err := Parse(m, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Clean(gopprof.KindCPU); !errors.Is(err, ErrInvalid) {
		t.Errorf("values that do not fit: %v", err)
	}
	if _, err := p.Clean(gopprof.KindHeap); !errors.Is(err, ErrInvalid) {
		t.Errorf("another kind: %v", err)
	}
}
