package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/config"
)

// nats is what every configuration needs.
const nats = "nats: {url: 'nats://127.0.0.1:4222'}\n"

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(path)
}

func TestEveryMistakeAtOnceWithLineAndKey(t *testing.T) {
	_, err := load(t, nats+"cluster: ''\njudge:\n  policy: series\n  cpu: {window: 10s}\ntypo: 1\nshutdown_timeout: -1s\n")
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		t.Fatalf("%v, want config.Errors", err)
	}
	for _, want := range []string{":2: cluster:", ":4: judge.policy:", ":6: typo:", ":7: shutdown_timeout:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

// Windows that together are shorter than two intervals of the series may hold none of
// them whole: then nothing could ever be confirmed.
func TestWindowsMustHoldAnIntervalOfTheSeries(t *testing.T) {
	_, err := load(t, nats+"heapster: {url: 'http://127.0.0.1:1'}\njudge:\n  cpu: {window: 30s}\n")
	if err == nil || !strings.Contains(err.Error(), "judge.cpu.window") {
		t.Errorf("%v, want a mistake of judge.cpu.window", err)
	}
	if _, err := load(t, nats+"heapster: {url: 'http://127.0.0.1:1', resolution: 30s}\nobserve: {quiet_interval: 15s}\njudge:\n  cpu: {window: 30s}\n"); err != nil {
		t.Error(err)
	}
}

// Under the policy "series" a window is made of the whole intervals that lie in it: where
// they do not fill it, the rule could never fire.
func TestWindowsOfSeriesAreWholeIntervals(t *testing.T) {
	policy := nats + "heapster: {url: 'http://127.0.0.1:1', resolution: %s}\njudge:\n  policy: %s\n  %s: {window: %s, in_a_row: %d}\n"
	for _, c := range []struct {
		resolution, policy, rule, window string
		inARow                           int
		want                             string
	}{
		{"1m", "series", "cpu", "90s", 2, ":5: judge.cpu.window: 1m30s is not a multiple of heapster.resolution (1m0s)"},
		{"1m", "series", "memory", "90s", 2, ":5: judge.memory.window: 1m30s is not a multiple of heapster.resolution (1m0s)"},
		{"1m", "series", "cpu", "30s", 4, "such as 1m0s"},
		{"1m", "series", "memory", "100s", 3, "such as 2m0s"},
		{"40s", "series", "cpu", "100s", 3, "such as 2m0s"},
		{"20s", "series", "cpu", "1m", 2, ""},
		{"1m", "series", "cpu", "1m", 2, ""},
		{"1m", "series", "memory", "3m", 2, ""},
		{"1m", "series", "throttled", "90s", 2, ""}, // no rule there
		{"1m", "confirm", "cpu", "90s", 2, ""},
	} {
		text := fmt.Sprintf(policy, c.resolution, c.policy, c.rule, c.window, c.inARow)
		if c.resolution == "40s" { // the other rule's default is no multiple either
			text += "  memory: {enabled: false}\n"
		}
		switch _, err := load(t, text); {
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := load(t, fmt.Sprintf(policy, "0s", "series", "cpu", "1m", 2)); err == nil || !strings.Contains(err.Error(), "heapster.resolution:") {
		t.Errorf("no resolution: %v", err)
	}
}

// Settings that are right by themselves and can never work together.
func TestSettingsThatContradictEachOther(t *testing.T) {
	series := "heapster: {url: 'http://127.0.0.1:1'}\n"
	for name, c := range map[string]struct{ text, key string }{
		"profiles longer than take allows":       {"judge:\n  memory: {cpu_seconds: 2m}\n", "judge.memory.cpu_seconds"},
		"take shortened":                         {"take: {max_seconds: 20s, default_cpu_seconds: 20s}\n", "judge.cpu.cpu_seconds"},
		"windows longer than what is remembered": {"judge:\n  cpu: {window: 5m, in_a_row: 5}\n", "observe.keep"},
		"no room to compare what fired":          {series + "observe: {keep: 140s}\n", "observe.keep"},
		"two windows of one reading":             {"judge:\n  throttled: {window: 30s}\n", "observe.quiet_interval"},
		"recorded otherwise than read":           {series + "record: {url: 'http://127.0.0.1:1', resolution: 30s}\n", "record.resolution"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, nats+c.text); err == nil || !strings.Contains(err.Error(), c.key+":") {
				t.Errorf("%v, want a mistake of %s", err, c.key)
			}
		})
	}
	for name, text := range map[string]string{
		"rule that is off":               "judge:\n  memory: {enabled: false, cpu_seconds: 2m}\n",
		"readings that nobody judges":    series + "judge: {policy: series}\nobserve: {keep: 1m, quiet_interval: 30s}\n",
		"enough room without the series": "observe: {keep: 2m}\n",
		"recorded elsewhere":             series + "record: {url: 'http://127.0.0.1:2', resolution: 30s}\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, nats+text); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSpoolLiesBelowTheStateDirectory(t *testing.T) {
	c, err := load(t, nats+"state_dir: /somewhere\njudge: {cpu: {window: 90s}}\n")
	if err != nil || c.Publish.Dir != "/somewhere/spool" || c.Judge.CPU.Window != 90*time.Second || c.Judge.CPU.Threshold != 0.8 {
		t.Errorf("%v: spool %q, rule %+v", err, c.Publish.Dir, c.Judge.CPU)
	}
}

func TestAgentNeedsNATS(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadConfig(path); err == nil || !strings.Contains(err.Error(), "nats.url") {
		t.Errorf("%v, want a mistake of nats.url", err)
	}
}

// The image runs as nobody in particular: where the state lies by default, it must be able
// to write.
func TestImageHoldsTheStateDirectory(t *testing.T) {
	file, err := os.ReadFile("../../Dockerfile.agent")
	if err != nil {
		t.Fatal(err)
	}
	if want := "/out/state " + DefaultConfig().StateDir + "\n"; !strings.Contains(string(file), want) {
		t.Errorf("Dockerfile.agent does not copy %q", want)
	}
}
