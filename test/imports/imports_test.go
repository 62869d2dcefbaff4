package imports

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/gopprof/gopprof"
	top    = "../.."
)

func TestTheTreeKeepsTheRules(t *testing.T) {
	packages, err := Load(top, module)
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 20 {
		t.Fatalf("only %d packages found", len(packages))
	}
	for _, v := range Check(packages, Rules()) {
		t.Error(v)
	}
}

// TestEveryRuleCanFail holds the fixture against the rules: each file there names, in
// comments beside its imports, the rules that they break.
func TestEveryRuleCanFail(t *testing.T) {
	dir := filepath.Join("testdata", "tree")
	packages, err := Load(dir, module)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	broken := map[string]bool{}
	for _, v := range Check(packages, Rules()) {
		got = append(got, v.Import.Where+" breaks "+v.Rule.Name)
		broken[v.Rule.Name] = true
	}
	want := wanted(t, dir)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, r := range Rules() {
		if !broken[r.Name] {
			t.Errorf("nothing in %s breaks rule %q", dir, r.Name)
		}
	}
}

// wanted reads the comments "// breaks a, b" of the fixture.
func wanted(t *testing.T, dir string) []string {
	var out []string
	err := filepath.WalkDir(dir, func(file string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".go") {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, file)
		for n, line := range strings.Split(string(data), "\n") {
			if _, rules, ok := strings.Cut(line, "// breaks "); ok {
				for rule := range strings.SplitSeq(rules, ", ") {
					out = append(out, fmt.Sprintf("%s:%d breaks %s", filepath.ToSlash(below), n+1, rule))
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestProgramsLinkOnlyWhatTheyNeed asks the go command what really gets into a program,
// by way of other people's packages too.
func TestProgramsLinkOnlyWhatTheyNeed(t *testing.T) {
	for program, forbidden := range unlinked() {
		for _, dep := range depsOf(t, "./"+program) {
			if dep, ok := strings.CutPrefix(dep, module+"/"); ok && programs(program, Import{Path: dep, Own: true}) {
				t.Errorf("%s links %s", program, dep)
			}
			if anyInside(dep, forbidden) {
				t.Errorf("%s links %s", program, dep)
			}
		}
	}
	// The check can fail: what the home of a dependency links is found.
	if !slices.ContainsFunc(depsOf(t, "./aggregator/store"), func(dep string) bool { return anyInside(dep, unlinked()["agent"]) }) {
		t.Error("gocloud.dev is not found where it is at home")
	}
}

func depsOf(t *testing.T, pkg string) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg)
	list.Dir = top
	var stderr strings.Builder
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v: %s", pkg, err, &stderr)
	}
	return strings.Fields(string(out))
}
