// Command gen writes docs/config.md, docs/metrics.md and docs/report.md out of the source: the
// doc comments and defaults of the configuration types, the metrics that the code makes, and
// the doc comments of what a report is made of; docs/asyncapi.yaml, docs/schemas and the
// table of docs/nats.md out of the protocol; and into the README the report of docs/example.
//
// With -check nothing is written: it fails when a file is not what would be written.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	agent "github.com/gopprof/gopprof/agent/app"
	"github.com/gopprof/gopprof/agent/discover/static"
	aggregator "github.com/gopprof/gopprof/aggregator/app"
	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/docs/gen/configdoc"
	"github.com/gopprof/gopprof/docs/gen/metricsdoc"
	"github.com/gopprof/gopprof/docs/gen/natsdoc"
	"github.com/gopprof/gopprof/docs/gen/source"
)

const module = "github.com/gopprof/gopprof"

func main() {
	check := flag.Bool("check", false, "write nothing, fail when a file is out of date")
	root := flag.String("root", ".", "top of the source tree")
	example := flag.String("example", "", "directory of a report that explain-bench kept, to be taken into docs/example first")
	pictures := flag.String("pictures", "", "directory of the pictures of pages that a test kept, to be taken into docs/example first")
	flag.Parse()
	err := error(nil)
	if *pictures != "" {
		err = takePictures(*root, *pictures)
	}
	if err == nil && *example != "" {
		err = takeExample(*root, *example)
	}
	if err == nil {
		err = run(*root, *check)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs/gen:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	config, err := configReference(root)
	if err != nil {
		return err
	}
	metrics, err := metricsReference(root)
	if err != nil {
		return err
	}
	report, err := reportReference(root)
	if err != nil {
		return err
	}
	front, err := readme(root)
	if err != nil {
		return err
	}
	return errors.Join(
		putNATS(root, check),
		put(filepath.Join(root, "README.md"), front, check),
		put(filepath.Join(root, "docs", "config.md"), config, check),
		put(filepath.Join(root, "docs", "metrics.md"), metrics, check),
		put(filepath.Join(root, "docs", "report.md"), report, check),
	)
}

func put(path string, text []byte, check bool) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	switch {
	case bytes.Equal(old, text):
		return nil
	case check:
		return fmt.Errorf("%s is out of date, first at line %d", path, firstDifference(old, text))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// sweep removes what was written before and is not any more.
func sweep(dir string, written map[string][]byte, check bool) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, path := range files {
		switch _, known := written[path]; {
		case known:
		case check:
			err = errors.Join(err, fmt.Errorf("%s is written by nothing", path))
		default:
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

func firstDifference(a, b []byte) int {
	left, right := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range left {
		if i >= len(right) || left[i] != right[i] {
			return i + 1
		}
	}
	return len(left) + 1
}

// agentDefaults are the agent's defaults without what they take from this machine.
func agentDefaults() agent.Config {
	c := agent.DefaultConfig()
	c.Node = ""
	return c
}

func configReference(root string) ([]byte, error) {
	var texts []any
	for _, of := range []any{
		agentDefaults(), aggregator.DefaultConfig(),
		static.File{Targets: []static.Entry{{}}}, auth.TokensFile{Tokens: []auth.TokenEntry{{}}},
	} {
		text, err := configdoc.Write(root, module, of)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return fmt.Appendf(nil, configText, texts...), nil
}

// putNATS writes what is said of NATS.
func putNATS(root string, check bool) error {
	files, err := natsReference(root)
	if err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		err = errors.Join(err, put(path, files[path], check))
	}
	return errors.Join(err, sweep(filepath.Join(root, "docs", "schemas"), files, check))
}

// natsReference returns the files that say what passes over NATS, and the page of them.
func natsReference(root string) (map[string][]byte, error) {
	below, err := natsdoc.Files(root, said())
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for path, text := range below {
		files[filepath.Join(root, "docs", filepath.FromSlash(path))] = text
	}
	page := filepath.Join(root, "docs", "nats.md")
	old, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	text, err := natsdoc.Page(string(old))
	files[page] = []byte(text)
	return files, err
}

func metricsReference(root string) ([]byte, error) {
	all, err := metricsdoc.Read(root, "agent", "aggregator", "pkg")
	if err != nil {
		return nil, err
	}
	nouns, err := source.Read(filepath.Join(root, "pkg", "gopprof"))
	if err != nil {
		return nil, err
	}
	reasons, err := metricsdoc.ReasonTable(nouns.Sets["Reason"])
	if err != nil {
		return nil, err
	}
	of := map[string][]metricsdoc.Metric{}
	for _, m := range all {
		program := "both"
		for _, p := range []string{"agent", "aggregator"} {
			if strings.HasPrefix(m.Name, "gopprof_"+p+"_") {
				program = p
			}
		}
		of[program] = append(of[program], m)
	}
	return fmt.Appendf(nil, metricsText,
		metricsdoc.Table(of["both"]), metricsdoc.Table(of["agent"]), metricsdoc.Table(of["aggregator"]), reasons), nil
}
