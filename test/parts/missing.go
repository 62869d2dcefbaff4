package parts

import (
	"os"
	"os/exec"
	"testing"
)

// noSkip is the variable of the environment by which a missing part is a failure: where
// everything is installed, a test that was skipped would stay green for ever.
const noSkip = "GOPPROF_NO_SKIP"

// Missing ends a test that needs a part which is not here, by the reason: it is skipped, or
// fails when GOPPROF_NO_SKIP is set.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if NoSkip() {
		t.Fatalf("a part is missing, and "+noSkip+" is set: "+format, args...)
	}
	t.Skipf(format, args...)
}

// NoSkip tells whether GOPPROF_NO_SKIP is set.
func NoSkip() bool { return os.Getenv(noSkip) != "" }

// Need ends a test as Missing does when a program that `make tools` builds is not there.
func Need(t testing.TB, program string) {
	t.Helper()
	if _, err := Binary(program); err != nil {
		Missing(t, "%v", err)
	}
}

// NeedDot ends a test as Missing does when graphviz is not installed.
func NeedDot(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("dot"); err != nil {
		Missing(t, "graphviz is not installed: apt-get install graphviz")
	}
}
