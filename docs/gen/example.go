package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The README shows a genuine report, that in docs/example, between these marks.
const (
	exampleBegins = "<!-- written by make update-docs out of docs/example -->\n"
	exampleEnds   = "<!-- end of the example -->\n"
)

func exampleDir(root string) string { return filepath.Join(root, "docs", "example") }

// takeExample takes a report that explain-bench kept into docs/example: without its readings,
// which are drawn in its picture, and without the paths of the machine that it was made on.
func takeExample(root, kept string) error {
	r, err := readReport(kept)
	if err != nil {
		return err
	}
	r.Capture.History = gopprof.History{}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	top, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	env, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	dirs := strings.Fields(string(env))
	for _, machine := range []string{top + "/", dirs[0] + "/src/", dirs[len(dirs)-1] + "/"} {
		data = bytes.ReplaceAll(data, []byte(machine), nil)
	}
	if err := os.MkdirAll(exampleDir(root), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(exampleDir(root), "report.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	for _, picture := range []string{"evidence.svg", "cpu.svg"} {
		svg, err := os.ReadFile(filepath.Join(kept, picture))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(exampleDir(root), picture), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func readReport(dir string) (r gopprof.Report, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}

// readme is the README with the example as it is now.
func readme(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		return nil, err
	}
	before, rest, begins := strings.Cut(string(text), exampleBegins)
	_, after, ends := strings.Cut(rest, exampleEnds)
	if !begins || !ends {
		return nil, fmt.Errorf("README.md has no place for the example: put %q and %q there", exampleBegins, exampleEnds)
	}
	r, err := readReport(exampleDir(root))
	if err != nil {
		return nil, err
	}
	return []byte(before + exampleBegins + exampleText(r) + exampleEnds + after), nil
}

// exampleText is the message that its owner gets of a report, in the order and words of
// every chat, and the pictures that it links.
func exampleText(r gopprof.Report) string {
	o := notify.One(notify.ItemOf(r), r.MadeAt).Outline(notify.MostNamed)
	var b strings.Builder
	fmt.Fprintf(&b, "> **%s**\n", o.Title)
	for _, line := range append(o.Warnings, o.Lines...) {
		fmt.Fprintf(&b, ">\n> %s\n", line)
	}
	b.WriteString(">\n> | | |\n> |---|---|\n")
	for _, f := range o.Facts {
		fmt.Fprintf(&b, "> | %s | %s |\n", f.Name, f.Value)
	}
	b.WriteString(">\n> ```\n")
	for _, line := range o.Top {
		fmt.Fprintf(&b, "> %s\n", line)
	}
	b.WriteString("> ```\n>\n> ")
	for i, l := range o.Links {
		if i > 0 {
			b.WriteString(" · ")
		}
		b.WriteString("*" + l.Name + "*")
	}
	b.WriteString("\n\n<img src=\"docs/example/evidence.svg\" width=\"440\" alt=\"What the pod used of its limit in the minutes before, and when it was captured\">\n" +
		"<img src=\"docs/example/cpu.svg\" width=\"440\" alt=\"The call graph of its CPU profile\">\n")
	return b.String()
}
