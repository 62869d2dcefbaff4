package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets the test's own program be the agent.
func TestMain(m *testing.M) {
	if os.Getenv("GOPPROF_TEST_MAIN") == "1" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// execAgent runs the agent and returns what it printed and its exit status.
func execAgent(t *testing.T, args ...string) (output string, status int) {
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
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigurationMistakesAllAtOnceWithStatus2(t *testing.T) {
	path := write(t, "log:\n  level: loud\nstatus: {listen: '0.0.0.0:1'}\nsurprise: true\n")
	for _, args := range [][]string{{"--config", path}, {"--config", path, "--check-config"}} {
		out, status := execAgent(t, args...)
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
	if out, status := execAgent(t, "--config", write(t, "nats: {url: 'nats://127.0.0.1:4222'}\n"), "--check-config"); status != 0 || !strings.HasSuffix(out, ": ok\n") {
		t.Errorf("status %d: %s", status, out)
	}
}

func TestFlags(t *testing.T) {
	if out, status := execAgent(t, "--version"); status != 0 || strings.TrimSpace(out) == "" {
		t.Errorf("--version: status %d: %q", status, out)
	}
	if out, status := execAgent(t, "start"); status != 2 || !strings.Contains(out, "start") {
		t.Errorf("an argument: status %d: %q", status, out)
	}
	if out, status := execAgent(t, "--config", "/does/not/exist.yaml"); status != 2 || !strings.Contains(out, "/does/not/exist.yaml") {
		t.Errorf("no file: status %d: %q", status, out)
	}
}

func TestADirectoryIsGivenToAUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give a directory away: run the tests as root")
	}
	dir := filepath.Join(t.TempDir(), "agent", "state")
	for range 2 { // the second time there is nothing to do
		if out, status := execAgent(t, "--give", dir, "--to", "65532:65531"); status != 0 {
			t.Fatalf("status %d: %s", status, out)
		}
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if s := info.Sys().(*syscall.Stat_t); s.Uid != 65532 || s.Gid != 65531 || info.Mode().Perm() != 0o700 {
			t.Errorf("owner %d:%d, mode %v", s.Uid, s.Gid, info.Mode())
		}
	}
	for _, owner := range []string{"root", "65532", "1:-1", ":"} {
		if out, status := execAgent(t, "--give", dir, "--to", owner); status != 1 || !strings.Contains(out, "uid:gid") {
			t.Errorf("%q: status %d: %s", owner, status, out)
		}
	}
}
