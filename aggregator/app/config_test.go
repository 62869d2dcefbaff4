package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStagesMustFitEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aggregator.yaml")
	text := "notify: {give_up_after: 20d}\nreceive:\n  in_progress_interval: 40s\n  drain_timeout: 1m\ndraw: {timeout: 1m}\nviews: {timeout: 1m}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadConfig(path)
	for _, want := range []string{":1: notify.give_up_after:", ":3: receive.in_progress_interval:", ":4: receive.drain_timeout:", ":5: draw.timeout:", ":6: views.timeout:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

// What the embedded server would refuse at the start is a mistake before it; an external
// one has bounds of its own.
func TestStreamsMustFitTheEmbeddedServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aggregator.yaml")
	load := func(text string) string {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadConfig(path)
		return fmt.Sprint(err)
	}
	const large, external = "streams: {waiting_bytes: 4294967296, replicas: 3}\n", "nats: {url: \"nats://127.0.0.1:4222\"}\n"
	got := load(large)
	for _, want := range []string{"embedded.store_bytes: ", ":1: streams.replicas: "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if got := load(large + external); got != "<nil>" {
		t.Error(got)
	}
	if got := load("streams: {waiting_bytes: 2147483648}\n"); got != "<nil>" {
		t.Error(got)
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
