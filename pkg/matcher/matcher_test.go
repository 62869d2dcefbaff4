package matcher_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/matcher"
	"github.com/gopprof/gopprof/test/hostile"
)

func TestMatchers(t *testing.T) {
	l := map[string]string{"namespace": "shop", "cause": "gc_bound", "owner": ""}
	for text, want := range map[string]bool{
		`namespace="shop"`: true, `namespace=shop`: true, ` namespace = "shop" `: true, `namespace="sho"`: false, `namespace!="shop"`: false, `namespace!=pay`: true,
		`cause=~"gc_bound|heap_growth"`: true, `cause=~"gc"`: false, `cause=~gc.*`: true, `cause!~"gc.*"`: false, `cause!~"code_hot"`: true,
		`owner=""`: true, `owner=`: true, `owner!=""`: false, `pod=""`: true, `namespace=~"a|shop"`: true, `namespace="a\"b"`: false,
	} {
		m, err := matcher.Parse(text)
		if err != nil || m.Matches(l) != want {
			t.Errorf("%s: %v, %v", text, m.Matches(l), err)
		}
	}
}

func TestAll(t *testing.T) {
	l := map[string]string{"namespace": "shop", "severity": "page"}
	for text, want := range map[string]bool{"": true, "namespace=shop": true, "namespace=shop severity=page": true, "namespace=shop severity=info": false} {
		var all []matcher.Matcher
		for one := range strings.FieldsSeq(text) {
			m, err := matcher.Parse(one)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		if matcher.All(all, l) != want {
			t.Errorf("%q: not %v", text, want)
		}
	}
}

func TestMatchersThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "must be", "shop": "must be", "=x": "must be", `namespace="x`: "quotes", `namespace=~"("`: "regular expression", "a b=c": "must be",
		"pod=~" + strings.Repeat("long", 20_000): "at most 65536 bytes",
	} {
		if _, err := matcher.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzMatcher(f *testing.F) {
	f.Add(`namespace=~"a|b"`)
	f.Add(`cause!="\x00"`)
	for _, name := range hostile.Names() {
		f.Add(name)
		f.Add("pod=" + name)
		f.Add("pod=~" + strconv.Quote(name))
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := matcher.Parse(s)
		if err != nil {
			return
		}
		again, err := matcher.Parse(m.String())
		if err != nil || again.Name != m.Name || again.Op != m.Op || again.Value != m.Value {
			t.Errorf("%q is written as %s: %v", s, m, err)
		}
		m.Matches(map[string]string{m.Name: s})
	})
}
