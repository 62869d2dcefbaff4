package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMistakes reads one file per class of mistakes; beside it stands what is told.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "mistakes", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := defaults()
			err = config.Parse(name+".yaml", data, &s)
			var mistakes config.Errors
			if !errors.As(err, &mistakes) || len(mistakes) == 0 {
				t.Fatalf("not told as mistakes: %v", err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".want", mistakes.Error()+"\n")
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%swant (%s, mended by -update):\n%s", got, path, want)
	}
}
