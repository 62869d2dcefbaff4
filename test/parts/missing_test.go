package parts_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/test/parts"
)

// TestMissingPart is run by TestMissingPartFailsWhereNoneMayBe only, without a part.
func TestMissingPart(t *testing.T) {
	if os.Getenv("GOPPROF_TEST_HIDES_PARTS") == "" {
		t.Skip("is run by TestMissingPartFailsWhereNoneMayBe only")
	}
	t.Run("program", func(t *testing.T) { parts.Need(t, "no-such-program") })
	t.Run("dot", func(t *testing.T) { parts.NeedDot(t) })
}

// Without graphviz and a program of ours, tests that need them are skipped; where no part
// may be missing, they fail and say which is.
func TestMissingPartFailsWhereNoneMayBe(t *testing.T) {
	for noSkip, want := range map[string]string{"": "--- SKIP", "1": "--- FAIL"} {
		test := exec.Command(os.Args[0], "-test.v", "-test.run=^TestMissingPart$")
		test.Env = append(os.Environ(), "GOPPROF_TEST_HIDES_PARTS=1", "PATH="+t.TempDir(), "GOPPROF_NO_SKIP="+noSkip)
		out, err := test.CombinedOutput()
		if failed := err != nil; failed != (noSkip != "") {
			t.Errorf("with GOPPROF_NO_SKIP=%q: %v\n%s", noSkip, err, out)
		}
		for _, say := range []string{want + ": TestMissingPart/program", want + ": TestMissingPart/dot", "no-such-program is not built", "graphviz is not installed"} {
			if !strings.Contains(string(out), say) {
				t.Errorf("with GOPPROF_NO_SKIP=%q it does not say %q:\n%s", noSkip, say, out)
			}
		}
	}
}
