package show

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"sigs.k8s.io/yaml"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

// TestEveryReasonHasWords reads the closed set where it is written.
func TestEveryReasonHasWords(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../../pkg/gopprof/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		word, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if _, ok := words()[gopprof.Reason(word)]; err != nil || !ok {
			t.Errorf("%s has no words", spec.Names[0])
		}
		n++
		return false
	})
	if n != len(words()) || n < 40 {
		t.Errorf("%d reasons, %d with words", n, len(words()))
	}
}

func TestBecause(t *testing.T) {
	for want, got := range map[string]string{
		"":                          Because("", ""),
		"text":                      Because("", "text"),
		"cancelled (cancelled)":     Because(gopprof.ReasonCancelled, ""),
		"contended: by pid 7":       Because(gopprof.ReasonContended, "by pid 7"),
		"of_tomorrow (of_tomorrow)": Because("of_tomorrow", ""),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestUnits(t *testing.T) {
	for want, got := range map[string]string{
		"0s": Length(-time.Second), "119s": Length(119 * time.Second), "2m": Length(2 * time.Minute), "9m59s": Length(10*time.Minute - 1), "10m": Length(10 * time.Minute),
		"179m": Length(3*time.Hour - 1), "47h": Length(48*time.Hour - 1), "2d": Length(48 * time.Hour), "-": Age(time.Now(), time.Time{}),
		"0 B": Bytes(0), "999 B": Bytes(999), "0.977 KiB": Bytes(1000), "300 MiB": Bytes(300 << 20), "1.5 GiB": Bytes(3 << 29), "2048 TiB": Bytes(1 << 51),
		"0.47": Number(0.47), "12346": Number(12345.6), "1.5 s": Value(15e8, "nanoseconds"), "2 KiB": Value(2048, "bytes"), "7": Value(7, "count"),
		"33.3%": Percent(1, 3), "- ": Percent(1, 0) + " ",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct{ in, want string }{{"abc", "abc"}, {"abcd", "ab…"}, {"äöü", "äöü"}, {"äöüß", "äö…"}, {"a\nb", "a\ufffdb"}} {
		if got := Clip(c.in, 3); got != c.want {
			t.Errorf("%q: %q", c.in, got)
		}
	}
}

func TestTableIsAligned(t *testing.T) {
	table := &Table{Header: []string{"A", "B"}}
	table.Add("long", "")
	table.Add("x\ty\nz", "2")
	var out strings.Builder
	if err := table.Write(&out); err != nil || out.String() != "A       B\nlong\nx\ufffdy\ufffdz   2\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// FuzzEncode: JSON loses nothing, and neither format lets through what a terminal obeys.
func FuzzEncode(f *testing.F) {
	f.Add("plain")
	f.Add("a\x1b[2J\u009b\u202e\u2028\U000e0001\"\\<>&\xff")
	f.Add("\n\u2028\xbc") // found by fuzzing: a line of YAML's began where none may
	f.Add("\n\u0085\\u2029\u2029")
	for _, name := range hostile.Names() {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := api.ReportSummary{Pod: strings.ToValidUTF8(s, "\ufffd")}
		var j, y strings.Builder
		if err := JSON(&j, want); err != nil {
			t.Fatal(err)
		}
		if err := YAML(&y, want); err != nil {
			t.Fatal(err)
		}
		var got api.ReportSummary
		if err := json.Unmarshal([]byte(j.String()), &got); err != nil || got.Pod != want.Pod {
			t.Errorf("%q became %q, %v", s, got.Pod, err)
		}
		if err := yaml.Unmarshal([]byte(y.String()), &got); err != nil {
			t.Errorf("%q: %v", y.String(), err)
		}
		if strings.ContainsFunc(j.String()+y.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			t.Errorf("%q", j.String()+y.String())
		}
	})
}

func TestMerged(t *testing.T) {
	got := strings.Join(Merged(api.MergedKind{Kind: "cpu", Pods: make([]api.MergedPod, 2)}), "\n")
	if got != "merged cpu profile of 2 pods\n  no pod differs from the others" {
		t.Errorf("%s", got)
	}
	got = strings.Join(Merged(api.MergedKind{Kind: "cpu", Note: "too few pods"}), "\n")
	if got != "merged cpu profile of 0 pods\n  too few pods" {
		t.Errorf("%s", got)
	}
}
