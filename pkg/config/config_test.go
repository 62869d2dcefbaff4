package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/config"
)

// sample has one of everything that configurations are made of.
type sample struct {
	Listen    string              `yaml:"listen"`
	Workers   int                 `yaml:"workers"`
	Small     int8                `yaml:"small"`
	Ratio     float64             `yaml:"ratio"`
	Verbose   bool                `yaml:"verbose"`
	Timeout   time.Duration       `yaml:"timeout"`
	Every     time.Duration       `yaml:"every"`
	Spool     int64               `yaml:"spool_bytes"`
	Store     storeSample         `yaml:"store"`
	Kinds     []string            `yaml:"kinds"`
	Labels    map[string]string   `yaml:"labels"`
	Rules     []ruleSample        `yaml:"rules"`
	Receivers map[string]receiver `yaml:"receivers"`
	TLS       *tlsSample          `yaml:"tls"`
	Secret    config.SecretFile   `yaml:"password_file"`
	Names     []string            `yaml:"names"`
	Grid      [][]string          `yaml:"grid"`
	Tree      tree                `yaml:"tree"`
	At        time.Time           `yaml:"at"`
	Free      any                 `yaml:"free"`
	inlined   `yaml:",inline"`
	Inline    inlineSample `yaml:",inline"`
	Hidden    string       `yaml:"-"`
	Untagged  string
}

type storeSample struct {
	URL       string `yaml:"url"`
	MaxBytes  int64  `yaml:"max_bytes"`
	HugeBytes int64  `yaml:"huge_bytes"`
}

func (s storeSample) Check(report func(key, problem string)) {
	if s.URL == "" {
		report("url", "must not be empty")
	}
	if s.MaxBytes < 0 {
		report("max_bytes", "must not be negative")
	}
}

type ruleSample struct {
	Name   string        `yaml:"name"`
	Window time.Duration `yaml:"window"`
	InARow int           `yaml:"in_a_row"`
	Kinds  []string      `yaml:"kinds"`
}

func (r *ruleSample) SetDefaults() { r.Window, r.InARow = time.Minute, 2 }

func (r *ruleSample) Check(report func(key, problem string)) {
	if r.Name == "" {
		report("name", "must not be empty")
	}
	if r.Window <= 0 {
		report("window", "must be above 0")
	}
}

type receiver struct {
	URL   string `yaml:"url"`
	Retry bool   `yaml:"retry"`
}

func (r receiver) Check(report func(key, problem string)) {
	if r.URL == "" {
		report("url", "must not be empty")
	}
}

type tlsSample struct {
	CertFile string `yaml:"cert_file"`
}

type tree struct {
	Below []tree `yaml:"below"`
}

type inlined struct {
	Embedded string `yaml:"embedded"`
}

type inlineSample struct {
	Port int `yaml:"port"`
}

func (i inlineSample) Check(report func(key, problem string)) {
	if i.Port < 0 {
		report("port", "must not be negative")
	}
}

func (s *sample) Check(report func(key, problem string)) {
	if !strings.Contains(s.Listen, ":") {
		report("listen", fmt.Sprintf("%q is not host:port", s.Listen))
	}
	if s.Workers < 1 {
		report("workers", "must be 1 or more")
	}
	seen := map[string]bool{}
	for i, r := range s.Rules {
		if r.Name != "" && seen[r.Name] {
			report(fmt.Sprintf("rules[%d].name", i), "stands twice")
		}
		seen[r.Name] = true
	}
}

func defaults() sample {
	return sample{
		Listen: "127.0.0.1:0", Workers: 4, Ratio: 0.8, Timeout: time.Second,
		Store:  storeSample{URL: "file:///default", MaxBytes: 1},
		Kinds:  []string{"cpu", "heap"},
		Labels: map[string]string{"team": "default"},
		Rules:  []ruleSample{{Name: "default", Window: time.Hour, InARow: 9}},
	}
}

func TestAnEmptyFileIsTheDefaults(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# nothing\n", "{}\n", "---\n", "store:\n"} {
		got := defaults()
		if err := config.Parse("f", []byte(text), &got); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if want := defaults(); !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got %+v\nwant %+v", text, got, want)
		}
	}
}

func TestAFileIsReadOverTheDefaults(t *testing.T) {
	got := defaults()
	if err := config.Load(filepath.Join("testdata", "full.yaml"), &got); err != nil {
		t.Fatal(err)
	}
	want := sample{
		Listen: "127.0.0.1:8080", Workers: 16, Small: -3, Ratio: 1, Verbose: true,
		Timeout: 90 * time.Minute, Every: 14 * 24 * time.Hour, Spool: 10 << 30,
		Store:  storeSample{URL: "s3://bucket", MaxBytes: 1, HugeBytes: 4096},
		Kinds:  []string{"mutex"},
		Labels: map[string]string{"a": "1"},
		Rules: []ruleSample{
			{Name: "one", Window: 10 * time.Second, InARow: 5, Kinds: []string{"cpu"}},
			{Name: "two", Window: time.Minute, InARow: 2},
		},
		Receivers: map[string]receiver{"team-a": {URL: "http://a", Retry: true}, "team.b": {URL: "http://b"}},
		TLS:       &tlsSample{CertFile: "/etc/cert"}, Secret: "/etc/secret",
		Names: []string{"x", "y"}, Grid: [][]string{{"x", "y"}, {}},
		At: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), Free: map[string]any{"k": 1},
		inlined: inlined{Embedded: "e"}, Inline: inlineSample{Port: 7}, Untagged: "u",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestOnlyPointersToStructsAreFilled(t *testing.T) {
	for _, into := range []any{nil, sample{}, new(int), (*sample)(nil)} {
		err := config.Parse("f", nil, into)
		var mistakes config.Errors
		if err == nil || errors.As(err, &mistakes) {
			t.Errorf("into %T: %v", into, err)
		}
	}
}

func TestAFileThatCannotBeReadIsNoMistakeInIt(t *testing.T) {
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, []byte(strings.Repeat("# x\n", 1<<19)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none.yaml"), t.TempDir(), large} {
		var s sample
		err := config.Load(path, &s)
		var mistakes config.Errors
		if err == nil || errors.As(err, &mistakes) || !strings.HasPrefix(err.Error(), "reading configuration: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSizesAndDurations(t *testing.T) {
	sizes := map[string]int64{"0": 0, "1": 1, "4KiB": 4096, "3 MiB": 3 << 20, "1GiB": 1 << 30, "2TiB": 2 << 40, "-1KiB": -1024}
	for text, want := range sizes {
		if got, err := config.ParseBytes(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if back, err := config.ParseBytes(config.FormatBytes(want)); err != nil || back != want {
			t.Errorf("%d is written %q, which reads as %d, %v", want, config.FormatBytes(want), back, err)
		}
	}
	for _, text := range []string{"", "KiB", "1.5GiB", "1kb", "1GB", "9223372036854775807KiB", "99999999999999999999"} {
		if got, err := config.ParseBytes(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
	durations := map[string]time.Duration{"0s": 0, "0": 0, "10s": 10 * time.Second, "1h30m": 90 * time.Minute, "14d": 336 * time.Hour, "1m0.5s": 60500 * time.Millisecond}
	for text, want := range durations {
		if got, err := config.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
		if back, err := config.ParseDuration(config.FormatDuration(want)); err != nil || back != want {
			t.Errorf("%s is written %q, which reads as %s, %v", want, config.FormatDuration(want), back, err)
		}
	}
	for _, text := range []string{"", "d", "1.5d", "-1d", "10", "1w", "999999999d"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}
