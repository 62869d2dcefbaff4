package heapster

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDefaultConfigIsRight(t *testing.T) {
	DefaultConfig().Check(func(key, problem string) { t.Errorf("%s: %s", key, problem) })
	if DefaultConfig().Enabled() {
		t.Error("the series are on by default")
	}
}

func TestEveryMistakeIsReported(t *testing.T) {
	c := Config{
		URL:            "influx:8086",
		PasswordFile:   "/p",
		CAFile:         "/ca",
		Timeout:        time.Hour,
		Jitter:         -1,
		MaxAnswerBytes: 1 << 40,
	}
	got := map[string]string{}
	c.Check(func(key, problem string) { got[key] = problem })
	want := []string{"ca_file", "database", "jitter", "max_answer_bytes", "max_rows", "password_file", "resolution", "timeout", "url"}
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, want) {
		t.Errorf("mistakes at %v, want %v", keys, want)
	}
}

func TestURLs(t *testing.T) {
	for url, want := range map[string]string{
		"":                       "",
		"http://h":               "",
		"https://[::1]:8086/a/b": "",
		"ftp://h":                "must begin with",
		"http://":                "names no host",
		"http://u:secret@h":      "must not hold a user",
		"http://h/?q=1":          "must not hold a query",
		"http://h/#x":            "must not hold a query",
		"http://h:port":          "is not a URL",
	} {
		c, got := DefaultConfig(), ""
		c.URL = url
		c.Check(func(key, problem string) { got += key + " " + problem })
		if want == "" && got != "" || !strings.Contains(got, want) || strings.Contains(got, "secret") {
			t.Errorf("%q: got %q, want %q", url, got, want)
		}
	}
}
