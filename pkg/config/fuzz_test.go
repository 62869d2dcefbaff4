package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/config"
)

// FuzzParse holds Parse to its promise for any bytes: it ends, and either fills the
// struct or tells mistakes that each have a line of the file.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, filepath.Join("testdata", "full.yaml")) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("#\u2028##\u2029#\u2028\u2018")) // found by fuzzing: a mistake beyond the file's last line
	f.Fuzz(func(t *testing.T, data []byte) {
		s := defaults()
		err := config.Parse("f", data, &s)
		if err == nil {
			return
		}
		var mistakes config.Errors
		if !errors.As(err, &mistakes) || len(mistakes) == 0 {
			t.Fatalf("not told as mistakes: %v", err)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 2
		for _, m := range mistakes {
			if m.Line < 1 || m.Line > lines || m.Problem == "" {
				t.Errorf("mistake %+v in a file of %d lines", m, lines)
			}
		}
	})
}
