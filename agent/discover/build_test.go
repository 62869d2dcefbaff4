package discover_test

import (
	"strings"
	"testing"

	"github.com/gopprof/gopprof/agent/discover"
)

func TestWordsOfABuild(t *testing.T) {
	for word, want := range map[string]bool{
		"5d4f8c7b9": true, "web-5d4f8c7b9": true, "v1.2.3_4": true, "a": true, strings.Repeat("a", 63): true,
		"": false, "-a": false, "a-": false, "a b": false, "a\n": false, "a/b": false, "é": false, strings.Repeat("a", 64): false,
	} {
		if got := discover.IsBuild(word); got != want {
			t.Errorf("%q: %t", word, got)
		}
	}
	for word, want := range map[string]bool{
		"off": true, "100": true, "400MiB": true, "-1": true, "1e9": true, "0.5": true,
		"": false, "$(LIMIT)": false, "a b": false, "1\n": false, "<b>": false, strings.Repeat("1", 33): false,
	} {
		if got := discover.IsRuntimeSetting(word); got != want {
			t.Errorf("%q: %t", word, got)
		}
	}
}
