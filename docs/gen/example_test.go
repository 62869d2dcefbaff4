package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What is taken into the tree says nothing of the machine, and is a whole report else.
func TestTheExampleIsTaken(t *testing.T) {
	root, kept := t.TempDir(), t.TempDir()
	for _, name := range []string{"report.json", "evidence.svg", "cpu.svg"} {
		data, err := os.ReadFile(filepath.Join("..", "example", name))
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.ReplaceAll(data, []byte(`"file": "test/`), []byte(`"file": "`+root+`/test/`))
		if err := os.WriteFile(filepath.Join(kept, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := takeExample(root, kept); err != nil {
		t.Fatal(err)
	}
	r, err := readReport(exampleDir(root))
	if err != nil {
		t.Fatal(err)
	}
	if r.Explanation.Verdict == nil || len(r.Explanation.Differences) == 0 || len(r.Siblings) == 0 || len(r.Capture.History.Local) != 0 {
		t.Errorf("%+v", r.Explanation)
	}
	for name, holds := range map[string]string{"report.json": `"file": "test/burner/`, "evidence.svg": "<svg", "cpu.svg": "<svg"} {
		data, err := os.ReadFile(filepath.Join(exampleDir(root), name))
		if err != nil || !bytes.Contains(data, []byte(holds)) || bytes.Contains(data, []byte(root)) || bytes.Contains(data, []byte(`"file": "/`)) {
			t.Errorf("%s: %v, or it has no %q, or it names a path of the machine", name, err, holds)
		}
	}
}

func TestTheReadmeShowsIt(t *testing.T) {
	text := exampleText(gopprof.Report{
		Capture: gopprof.Capture{Target: gopprof.Target{Namespace: "shop", Pod: "cart-1", Node: "n"}}, Fleet: &gopprof.Fleet{Pods: 6, Hot: 1, Quiet: 5},
		Explanation: gopprof.Explanation{Summary: "cpu at 94 %; shop.Sort uses 80 %", Verdict: &gopprof.Verdict{Causes: []gopprof.Cause{{Kind: gopprof.CauseCodeHot, Confidence: gopprof.ConfidenceSure, Line: "shop.Sort uses 80 %", Function: "a/b/shop.Sort"}}}},
	})
	for _, want := range []string{"> **shop/cart-1", "> cpu at 94 %; shop.Sort uses 80 %\n", "> Cause: code_hot, sure\n", "> | Pods | 1 of 6 hot, 5 quiet |", "docs/example/evidence.svg"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if _, err := readme(t.TempDir()); err == nil {
		t.Error("no README is no error")
	}
}
