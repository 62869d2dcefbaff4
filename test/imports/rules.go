package imports

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Rule forbids imports, for a reason.
type Rule struct {
	Name   string
	Reason string
	Tests  bool // holds for _test.go files too
	// Forbids tells whether the package must not have the import.
	Forbids func(pkg string, i Import) bool
}

// Rules are the rules of this tree.
func Rules() []Rule {
	return []Rule{
		{
			Name: "nouns", Tests: false, Forbids: nouns,
			Reason: "every package may depend on the nouns: they are the standard library only, and do no I/O",
		},
		{
			Name: "below", Tests: false, Forbids: below,
			Reason: "inside pkg each package knows only those in the table of test/imports: protocol, formats and nouns stay apart",
		},
		{
			Name: "up", Tests: true, Forbids: up,
			Reason: "pkg serves the programs and knows nothing of them",
		},
		{
			Name: "programs", Tests: true, Forbids: programs,
			Reason: "agent and aggregator meet over NATS only: each is released, replaced and understood without the other",
		},
		{
			Name: "stages", Tests: true, Forbids: stages,
			Reason: "a stage never imports another stage: what two stages need, app hands in as an interface of one to three methods",
		},
		{
			Name: "siblings", Tests: true, Forbids: siblings,
			Reason: "packages of one stage know their parents and children, never a sibling: each can be replaced alone",
		},
		{
			Name: "app", Tests: true, Forbids: app,
			Reason: "app wires the stages together: only main stands above it",
		},
		{
			Name: "tests", Tests: false, Forbids: tests,
			Reason: "what is shipped does not depend on what tests it",
		},
		{
			Name: "examples", Tests: false, Forbids: examples,
			Reason: "examples are copied into programs that have no gopprof: they use nats.go as its users do, and nothing of ours",
		},
		{
			Name: "homes", Tests: false, Forbids: homeless,
			Reason: "each heavy dependency has one home, where it is understood, bounded and can be replaced",
		},
	}
}

// Violation is an import that a rule forbids.
type Violation struct {
	Rule    Rule
	Package string
	Import  Import
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: %s imports %s (rule %q): %s", v.Import.Where, v.Package, v.Import.Path, v.Rule.Name, v.Rule.Reason)
}

// Check returns every import that a rule forbids.
func Check(packages []Package, rules []Rule) []Violation {
	var out []Violation
	for _, p := range packages {
		for _, i := range p.Imports {
			for _, r := range rules {
				if (r.Tests || !i.Test) && r.Forbids(p.Path, i) {
					out = append(out, Violation{r, p.Path, i})
				}
			}
		}
	}
	return out
}

func nouns(pkg string, i Import) bool {
	if pkg != "pkg/gopprof" {
		return false
	}
	// Not net itself: it joins host and port.
	io := []string{"os", "net/http", "net/rpc", "net/smtp", "io", "syscall", "log", "bufio", "database", "embed"}
	return i.Own || strings.Contains(first(i.Path), ".") || anyInside(i.Path, io)
}

func below(pkg string, i Import) bool {
	return inside(pkg, "pkg") && i.Own && inside(i.Path, "pkg") && !slices.Contains(knows()[pkg], i.Path)
}

// knows is the table of what each package inside pkg may import of the others.
func knows() map[string][]string {
	return map[string][]string{
		"pkg/gopprof":               {},
		"pkg/figures":               {},
		"pkg/chance":                {},
		"pkg/matcher":               {},
		"pkg/text":                  {},
		"pkg/profile":               {"pkg/gopprof"},
		"pkg/heapster":              {"pkg/gopprof"},
		"pkg/api":                   {"pkg/gopprof"},
		"pkg/wire":                  {"pkg/gopprof"},
		"pkg/bus":                   {"pkg/gopprof", "pkg/wire", "pkg/config"}, // config: secrets are files
		"pkg/bus/embedded":          {"pkg/gopprof", "pkg/bus", "pkg/config", "pkg/selfca"},
		"pkg/bus/buckettest":        {"pkg/bus"},
		"pkg/bus/bustest":           {"pkg/gopprof", "pkg/wire", "pkg/bus", "pkg/bus/embedded", "pkg/config"},
		"pkg/bus/embedded/natstest": {"pkg/bus", "pkg/config"},
		"pkg/config":                {},
		"pkg/durable":               {},
		"pkg/selfca":                {"pkg/durable"},
		"pkg/ops":                   {},
	}
}

func up(pkg string, i Import) bool {
	return inside(pkg, "pkg") && i.Own && (inside(i.Path, "agent") || inside(i.Path, "aggregator") || inside(i.Path, "cmd"))
}

func programs(pkg string, i Import) bool {
	own := []string{"agent", "aggregator", "cmd"}
	mine, theirs := first(pkg), first(i.Path)
	return i.Own && slices.Contains(own, mine) && slices.Contains(own, theirs) && mine != theirs
}

func stages(pkg string, i Import) bool {
	mine, theirs := stageOf(pkg), stageOf(i.Path)
	if i.Test && pkg == "agent/record" && i.Path == "agent/observe/heapster" {
		return false // what one writes, the other must read
	}
	return i.Own && first(pkg) == first(i.Path) && mine != "" && mine != "app" && theirs != "" && theirs != "app" && mine != theirs
}

func siblings(pkg string, i Import) bool {
	if i.Test && strings.HasSuffix(i.Path, "test") {
		return false // a contract that each of the family is tested against
	}
	same := i.Own && first(pkg) == first(i.Path) && stageOf(pkg) != "" && stageOf(pkg) == stageOf(i.Path)
	return same && !inside(pkg, i.Path) && !inside(i.Path, pkg)
}

func app(pkg string, i Import) bool {
	isApp := i.Own && (i.Path == "agent/app" || i.Path == "aggregator/app")
	free := pkg == path.Dir(i.Path) || pkg == i.Path || inside(pkg, "test") || inside(pkg, "docs")
	return isApp && !free
}

func tests(pkg string, i Import) bool {
	if !shipped(pkg) || strings.HasSuffix(pkg, "test") {
		return false
	}
	return i.Own && (inside(i.Path, "test") || strings.HasSuffix(i.Path, "test")) || i.Path == "testing"
}

func examples(pkg string, i Import) bool { return i.Own && inside(pkg, "docs/examples") }

// shipped tells whether a package is part of the programs that users run.
func shipped(pkg string) bool {
	return slices.Contains([]string{"agent", "aggregator", "pkg", "cmd"}, first(pkg))
}

// stageOf returns the name of the stage that a package belongs to, or "".
func stageOf(pkg string) string {
	parts := strings.Split(pkg, "/")
	if len(parts) < 2 || parts[0] != "agent" && parts[0] != "aggregator" {
		return ""
	}
	return parts[1]
}

func first(pkg string) string {
	head, _, _ := strings.Cut(pkg, "/")
	return head
}

// inside tells whether a package is dir or below it.
func inside(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }
