package record_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/gopprof/gopprof/agent/record"
)

func TestConfigMistakes(t *testing.T) {
	record.DefaultConfig().Check(func(key, problem string) { t.Errorf("default: %s: %s", key, problem) })
	if record.DefaultConfig().Enabled() {
		t.Error("recording is on by default")
	}
	c := record.Config{URL: "http://a:b@h", PasswordFile: "/p", CAFile: "/ca", Timeout: time.Hour, MaxBatches: -1}
	got := map[string]string{}
	c.Check(func(key, problem string) { got[key] = problem })
	want := []string{"ca_file", "database", "max_batches", "password_file", "resolution", "timeout", "url"}
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, want) {
		t.Errorf("mistakes at %v, want %v", keys, want)
	}
}
