// Package metricsdoc writes the reference of the metrics.
//
// The source of the programs enters; the metrics that it makes leave, each with its type,
// labels and help. The source is read, not run, because a metric whose labels have no
// values yet shows nowhere. It must never pass over a metric that it cannot read: that is
// an error, with the place.
package metricsdoc

import (
	"cmp"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Metric is one metric of the programs.
type Metric struct {
	Name   string
	Type   string // counter, gauge, histogram or summary
	Help   string
	Labels []string
	Where  string // file and line of what makes it
}

// Read returns the metrics that the packages below the given directories of root make,
// in the order of their names. Tests and testdata are passed over.
func Read(root string, dirs ...string) ([]Metric, error) {
	var out []Metric
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if name := d.Name(); name == "testdata" || strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			found, err := readPackage(root, path)
			out = append(out, found...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading metrics below %q: %w", dir, err)
		}
	}
	slices.SortFunc(out, func(a, b Metric) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Where, b.Where)) })
	for i := 1; i < len(out); i++ {
		if out[i].Name == out[i-1].Name {
			return nil, fmt.Errorf("metric %s is made twice: %s and %s", out[i].Name, out[i-1].Where, out[i].Where)
		}
	}
	return out, nil
}

// Table writes metrics as a Markdown table.
func Table(metrics []Metric) string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range metrics {
		labels := ""
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "` `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, labels, strings.ReplaceAll(m.Help, "|", `\|`))
	}
	return b.String()
}
