package metricsdoc_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/docs/gen/metricsdoc"
	"github.com/gopprof/gopprof/docs/gen/source"
)

func TestMetricsAreReadInEveryWayThatTheyAreMade(t *testing.T) {
	got, err := metricsdoc.Read("testdata", "good")
	if err != nil {
		t.Fatal(err)
	}
	want := `| metric | type | labels | meaning |
|---|---|---|---|
| ¤gopprof_func¤ | gauge |  | Func. |
| ¤gopprof_good_parts_total¤ | counter | ¤a¤ ¤b¤ | Of parts \| pieces. |
| ¤gopprof_left_depth¤ | gauge | ¤kind¤ | Both. |
| ¤gopprof_nested_total¤ | counter |  | Nested. |
| ¤gopprof_one_total¤ | counter |  | One. |
| ¤gopprof_plain¤ | gauge |  | Plain. |
| ¤gopprof_right_depth¤ | gauge | ¤kind¤ | Both. |
| ¤gopprof_seconds¤ | histogram |  | Raw. |
| ¤gopprof_summary¤ | summary |  | Summary. |
| ¤gopprof_two_total¤ | counter | ¤x¤ ¤y¤ | Two. |
`
	if table := strings.ReplaceAll(metricsdoc.Table(got), "`", "¤"); table != want {
		t.Errorf("got:\n%s\nwant:\n%s", table, want)
	}
	if got[0].Where != "good/good.go:19" {
		t.Errorf("made at %s", got[0].Where)
	}
}

func TestAMetricThatCannotBeReadIsAnError(t *testing.T) {
	cases := map[string]string{
		"promauto":  "bad/promauto/f.go:1: promauto is not read",
		"dot":       "bad/dot/f.go:1: an import of the library without its name",
		"loop":      "bad/loop/f.go:7: Name: bad/loop/f.go:7: is not a constant",
		"options":   "bad/options/f.go:5: the options are not a literal",
		"nohelp":    "bad/nohelp/f.go:5: metric gopprof_silent has no help",
		"desc":      "bad/desc/f.go:5: NewDesc is not read",
		"labels":    "bad/labels/f.go:7: labels: bad/labels/f.go:7: is not a list",
		"parameter": "bad/parameter/f.go:6: Name: bad/parameter/f.go:6: is not a constant",
	}
	for name, want := range cases {
		if got, err := metricsdoc.Read("testdata", "bad/"+name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", name, got, err, want)
		}
	}
}

func TestTwoMetricsOfOneNameAreAnError(t *testing.T) {
	if _, err := metricsdoc.Read("testdata", "twice"); err == nil || !strings.Contains(err.Error(), "gopprof_same is made twice: twice/a/f.go:5 and twice/b/f.go:5") {
		t.Error(err)
	}
}

func TestReasonsHaveTheirMeanings(t *testing.T) {
	words := []source.Word{{Constant: "ReasonA", Value: "a", Meaning: "the first"}, {Constant: "ReasonB", Value: "b", Meaning: "the second | third"}}
	want := "| reason | meaning |\n|---|---|\n| `a` | the first |\n| `b` | the second \\| third |\n"
	if table, err := metricsdoc.ReasonTable(&source.Set{Words: words}); table != want || err != nil {
		t.Errorf("%v, got:\n%s", err, table)
	}
	for want, set := range map[string]source.Set{
		"no meaning beside constant ReasonC": {Words: append(words, source.Word{Constant: "ReasonC", Value: "c"})},
		"no word":                            {Words: words, Err: errors.New("no word")},
	} {
		if table, err := metricsdoc.ReasonTable(&set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q, %v, want %q", table, err, want)
		}
	}
}
