package alerting

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	aggregator "github.com/gopprof/gopprof/aggregator/app"
)

var block = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestDocs lets each program read the configurations for it in docs/alerts.md.
func TestDocs(t *testing.T) {
	text, err := read("docs/alerts.md")
	must(t, err)
	seen := map[string]int{}
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		key, _, _ := strings.Cut(m[1], ":")
		file := filepath.Join(t.TempDir(), "config.yaml")
		must(t, os.WriteFile(file, []byte(m[1]), 0o600))
		seen[key]++
		switch key {
		case "alerts", "notify":
			if _, err := aggregator.LoadConfig(file); err != nil {
				t.Errorf("%v:\n%s", err, m[1])
			}
		case "route":
			must(t, amtool("check-config", file))
		case "rule_files":
			must(t, promtool("check", "config", "--syntax-only", file))
		default:
			t.Errorf("for whom is this?\n%s", m[1])
		}
	}
	for key, n := range map[string]int{"alerts": 1, "notify": 1, "route": 2, "rule_files": 1} {
		if seen[key] != n {
			t.Errorf("%d configurations that begin with %s, not %d", seen[key], key, n)
		}
	}
}
