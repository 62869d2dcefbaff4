package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/test/rig"
)

// The developer's command against hosts: the same binary under another name.
func TestCommandAgainstHosts(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	must(t, r.Burner.Heat(ctx, 0.3)) // something to see, and not enough for a rule
	dir := t.TempDir()
	binary := filepath.Join(dir, "gopprof")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "../../cmd/kubectl-gopprof").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(args ...string) string {
		t.Helper()
		c := exec.CommandContext(ctx, binary, append(args, "--server", r.API)...)
		c.Dir, c.Env = dir, append(os.Environ(), "KUBECONFIG=/nowhere", "NO_COLOR=1")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("gopprof %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	out := run("capture", "host/"+rig.Pod, "-n", rig.Namespace, "--kind", "cpu", "--seconds", "1", "-o", "cpu.pb.gz")
	if !strings.Contains(out, "stored") {
		t.Errorf("capture:\n%s", out)
	}
	var list struct{ Reports []struct{ ID string } }
	must(t, r.GetJSON(ctx, "/api/v1/reports", &list))
	if out := run("top", list.Reports[0].ID); !strings.Contains(out, "pricing.discountFor") {
		t.Errorf("top:\n%s", out)
	}
	top, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", filepath.Join(dir, "cpu.pb.gz")).CombinedOutput()
	if err != nil || !strings.Contains(string(top), "flat%") {
		t.Errorf("%v\n%s", err, top)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"targets", "-n", rig.Namespace}, rig.Pod},
		{[]string{"reports", "-n", rig.Namespace}, rig.Pod},
		{[]string{"operations", "-n", rig.Namespace}, "stored"},
		{[]string{"pause", "--why", "a test"}, "1 of 1"},
		{[]string{"resume"}, "1 of 1"},
	} {
		if out := run(c.args...); !strings.Contains(out, c.want) {
			t.Errorf("%v: no %q in\n%s", c.args, c.want, out)
		}
	}
}
