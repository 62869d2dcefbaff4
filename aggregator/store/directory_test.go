package store

import (
	"os"
	"path/filepath"
	"testing"
)

// A directory that is removed as empty between its making and its use is made again.
func TestInDirectoryMakesItAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	file := filepath.Join(dir, "c")
	removals := 0
	err := inDirectory(dir, func() error {
		if removals++; removals < 4 {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		}
		return os.WriteFile(file, nil, 0o600)
	})
	if err != nil || removals != 4 {
		t.Errorf("after %d removals: %v", removals, err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
