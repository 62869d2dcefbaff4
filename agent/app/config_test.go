package app

import (
	"errors"
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
	if _, err := load(t, nats+"heapster: {url: 'http://127.0.0.1:1', resolution: 30s}\njudge:\n  cpu: {window: 30s}\n"); err != nil {
		t.Error(err)
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
