package gopprof

import (
	"maps"
	"strconv"
	"strings"
	"testing"
)

func TestLabelsThereAndBack(t *testing.T) {
	for want, labels := range map[string]map[string]string{
		"":                         nil,
		"app=web":                  {"app": "web"},
		"a.io/b=,app=web,tier=x-1": {"tier": "x-1", "app": "web", "a.io/b": ""},
	} {
		got, ok := JoinLabels(labels)
		if !ok || got != want || !maps.Equal(SplitLabels(got), labels) {
			t.Errorf("%v: %q %v, back %v", labels, got, ok, SplitLabels(got))
		}
	}
}

func TestLabelsThatAreNotTold(t *testing.T) {
	many := map[string]string{}
	for i := range maxLabels + 1 {
		many["k"+strconv.Itoa(i)] = ""
	}
	for name, labels := range map[string]map[string]string{
		"too many": many, "too long": {"k": strings.Repeat("v", maxLabelBytes)}, "no key": {"": "v"},
		"a comma": {"k": "a,b=c"}, "an equals sign": {"k=a": "v"}, "a line": {"k": "a\nb"}, "no text": {"k": "a\xff"},
	} {
		if got, ok := JoinLabels(labels); ok || got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
