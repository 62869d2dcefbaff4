package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test's own program be the aggregator.
func TestMain(m *testing.M) {
	if os.Getenv("GOPPROF_TEST_MAIN") == "1" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// execAggregator runs the aggregator and returns what it printed and its exit status.
func execAggregator(t *testing.T, args ...string) (output string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "GOPPROF_TEST_MAIN=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "aggregator.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigurationMistakesAllAtOnceWithStatus2(t *testing.T) {
	path := write(t, "log:\n  level: loud\nstatus: {listen: '0.0.0.0:1'}\nsurprise: true\n")
	for _, args := range [][]string{{"--config", path}, {"--config", path, "--check-config"}} {
		out, status := execAggregator(t, args...)
		if status != 2 {
			t.Errorf("%q: status %d, want 2", args, status)
		}
		for _, want := range []string{path + ":2: log.level:", path + ":3: status.listen:", path + ":4: surprise:"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q: %q is not in\n%s", args, want, out)
			}
		}
	}
}

func TestCheckConfigOfAGoodFile(t *testing.T) {
	if out, status := execAggregator(t, "--config", write(t, "log: {level: warn}\n"), "--check-config"); status != 0 || !strings.HasSuffix(out, ": ok\n") {
		t.Errorf("status %d: %s", status, out)
	}
}

// A worker that is given nothing ends at once.
func TestWorkers(t *testing.T) {
	for _, worker := range []string{"draw-worker", "view-worker"} {
		if out, status := execAggregator(t, worker); status != 0 || out != "" {
			t.Errorf("%s: status %d: %q", worker, status, out)
		}
	}
}

func TestFlags(t *testing.T) {
	if out, status := execAggregator(t, "--version"); status != 0 || strings.TrimSpace(out) == "" {
		t.Errorf("--version: status %d: %q", status, out)
	}
	if out, status := execAggregator(t, "start"); status != 2 || !strings.Contains(out, "start") {
		t.Errorf("an argument: status %d: %q", status, out)
	}
	if out, status := execAggregator(t, "--config", "/does/not/exist.yaml"); status != 2 || !strings.Contains(out, "/does/not/exist.yaml") {
		t.Errorf("no file: status %d: %q", status, out)
	}
}

func TestNewKeyNeverOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.nk")
	public, status := execAggregator(t, "--new-key", path)
	seed, err := os.ReadFile(path)
	if status != 0 || err != nil || !strings.HasPrefix(public, "U") || !strings.HasPrefix(string(seed), "SU") {
		t.Fatalf("status %d, %v: printed %q", status, err, public)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: mode %v, want 0600", err, info.Mode())
	}
	if _, status := execAggregator(t, "--new-key", path); status == 0 {
		t.Error("a key was overwritten")
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(seed) {
		t.Error("the first key is gone")
	}
}

func TestDeadLettersAreListedAndReplayedByTheAggregatorThatRuns(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /dead-letters":
			fmt.Fprint(w, "one\tworker_died\t…\ntwo\tbytes_lost\t…\none\tworker_died\t…\n")
		case "POST /dead-letters/one":
			fmt.Fprintln(w, "one is back")
		default:
			w.WriteHeader(http.StatusConflict)
			fmt.Fprintln(w, "bytes_lost: gone")
		}
	}))
	defer server.Close()
	path := write(t, "status: {listen: '"+strings.TrimPrefix(server.URL, "http://")+"'}\n")
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--dead-letters"}, 0, "one\tworker_died\t…\ntwo\tbytes_lost\t…\none\tworker_died\t…\n"},
		{[]string{"--replay", "one"}, 0, "one is back\n"},
		{[]string{"--replay", "two"}, 1, "aggregator: bytes_lost: gone\n"},
		{[]string{"--replay", "all"}, 1, "one is back\naggregator: two: bytes_lost: gone\n"},
	} {
		if out, status := execAggregator(t, append([]string{"--config", path}, c.args...)...); status != c.status || out != c.want {
			t.Errorf("%q: status %d: %q", c.args, status, out)
		}
	}
	server.Close()
	if out, status := execAggregator(t, "--config", path, "--dead-letters"); status != 1 || !strings.Contains(out, "connection refused") {
		t.Errorf("nobody runs: status %d: %q", status, out)
	}
}
