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

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(path)
}

func TestEveryMistakeAtOnceWithLineAndKey(t *testing.T) {
	_, err := load(t, "cluster: ''\njudge:\n  policy: series\n  cpu: {window: 10s}\ntypo: 1\nshutdown_timeout: -1s\n")
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		t.Fatalf("%v, want config.Errors", err)
	}
	for _, want := range []string{":1: cluster:", ":3: judge.policy:", ":5: typo:", ":6: shutdown_timeout:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

// Windows that together are shorter than two intervals of the series may hold none of
// them whole: then nothing could ever be confirmed.
func TestWindowsMustHoldAnIntervalOfTheSeries(t *testing.T) {
	_, err := load(t, "heapster: {url: 'http://127.0.0.1:1'}\njudge:\n  cpu: {window: 30s}\n")
	if err == nil || !strings.Contains(err.Error(), "judge.cpu.window") {
		t.Errorf("%v, want a mistake of judge.cpu.window", err)
	}
	if _, err := load(t, "heapster: {url: 'http://127.0.0.1:1', resolution: 30s}\njudge:\n  cpu: {window: 30s}\n"); err != nil {
		t.Error(err)
	}
}

func TestSpoolLiesBelowTheStateDirectory(t *testing.T) {
	c, err := load(t, "state_dir: /somewhere\njudge: {cpu: {window: 90s}}\n")
	if err != nil || c.Publish.Dir != "/somewhere/spool" || c.Judge.CPU.Window != 90*time.Second || c.Judge.CPU.Threshold != 0.8 {
		t.Errorf("%v: spool %q, rule %+v", err, c.Publish.Dir, c.Judge.CPU)
	}
}
