package ops

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"k8s.io/klog/v2"
)

func TestALogLineIsOneObject(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := newLogger(DefaultLogConfig(), path)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("not told")
	log.Info("profile taken", zap.String("pod", "web-1"), zap.Duration("took", 90*time.Second))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var line map[string]any
	if err := json.Unmarshal(data, &line); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	at, err := time.Parse("2006-01-02T15:04:05.000Z0700", line["time"].(string))
	if err != nil || time.Since(at) > time.Minute {
		t.Errorf("time %v: %v", line["time"], err)
	}
	delete(line, "time")
	want := map[string]any{"level": "info", "msg": "profile taken", "pod": "web-1", "took": "1m30s"}
	for k, v := range want {
		if line[k] != v {
			t.Errorf("%s is %v, want %v", k, line[k], v)
		}
	}
	if len(line) != len(want) {
		t.Errorf("line %v", line)
	}
}

func TestConsoleIsForPeople(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := newLogger(LogConfig{Level: "debug", Format: "console"}, path)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("profile taken")
	if data, err := os.ReadFile(path); err != nil || !strings.HasSuffix(string(data), "\tdebug\tprofile taken\n") {
		t.Errorf("%q, %v", data, err)
	}
}

func TestLogConfigSaysWhatIsWrong(t *testing.T) {
	cases := []struct {
		config LogConfig
		want   string
	}{
		{DefaultLogConfig(), ""},
		{LogConfig{"debug", "console"}, ""},
		{LogConfig{"fatal", "json"}, "level"},
		{LogConfig{"INFO", "json"}, "level"},
		{LogConfig{"", "xml"}, "level format"},
	}
	for _, c := range cases {
		var keys []string
		c.config.Check(func(key, _ string) { keys = append(keys, key) })
		if got := strings.Join(keys, " "); got != c.want {
			t.Errorf("%+v: reported %q, want %q", c.config, got, c.want)
		}
		if _, err := NewLogger(c.config); (err == nil) != (c.want == "") {
			t.Errorf("%+v: NewLogger: %v", c.config, err)
		}
	}
}

func TestKlogIsBridged(t *testing.T) {
	core, seen := observer.New(zap.InfoLevel)
	BridgeKlog(zap.New(core))
	t.Cleanup(klog.ClearLogger)
	klog.InfoS("watched", "pods", 3)
	klog.ErrorS(nil, "failed")
	if got := seen.All(); len(got) != 2 || got[0].Message != "watched" || got[0].LoggerName != "klog" || got[1].Level != zap.ErrorLevel {
		t.Errorf("seen %+v", got)
	}
}
