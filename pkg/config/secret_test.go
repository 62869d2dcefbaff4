package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/config"
)

func TestASecretIsReadWithoutItsNewline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for text, want := range map[string]string{"": "", "s3\n": "s3", "s3\r\n": "s3", "s3\n\n": "s3\n", " s3 ": " s3 "} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := config.SecretFile(path).Read()
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	if got := fmt.Sprint(config.SecretFile(path)); got != path {
		t.Errorf("prints as %q", got)
	}
}

func TestNoPathIsNoSecret(t *testing.T) {
	if got, err := config.SecretFile("").Read(); got != "" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestASecretThatCannotBeReadIsAnError(t *testing.T) {
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, []byte(strings.Repeat("hush", 1<<15)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir(), large} {
		if got, err := config.SecretFile(path).Read(); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: got %q, %v", path, got, err)
		}
	}
}
