package app

import (
	"fmt"
	"os"
	"testing"
)

// burnerDir holds the program of the real targets, which is built when a test first needs it.
var burnerDir string

func TestMain(m *testing.M) {
	var err error
	if burnerDir, err = os.MkdirTemp("", "gopprof-app-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(burnerDir)
	os.Exit(code)
}
