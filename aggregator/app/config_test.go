package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStagesMustFitEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aggregator.yaml")
	text := "notify: {give_up_after: 20d}\nreceive:\n  in_progress_interval: 40s\n  drain_timeout: 1m\ndraw: {timeout: 1m}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadConfig(path)
	for _, want := range []string{":1: notify.give_up_after:", ":3: receive.in_progress_interval:", ":4: receive.drain_timeout:", ":5: draw.timeout:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

func TestDefaultsAreRight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aggregator.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadConfig(path); err != nil {
		t.Error(err)
	}
}
