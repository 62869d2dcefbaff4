// Package alerting checks what manifests/ offers to watch gopprof itself with: rules for
// Prometheus, the same for its operator, and a dashboard for Grafana.
//
// The files of the tree enter; nothing leaves. Prometheus' own promtool is asked whether
// rules and expressions are ones, and whether rules fire when they should; which metrics
// there are is what docs/metrics.md says.
package alerting

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gopprof/gopprof/test/parts"
)

// dir is where the rules and the dashboard are, below the top of the tree.
const dir = "manifests/components/alerting"

// read returns a file of the tree.
func read(path string) ([]byte, error) {
	root, err := parts.Root()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(root, path))
}

// promtool runs Prometheus' own checks, amtool Alertmanager's.
func promtool(args ...string) error { return tool("promtool", args...) }
func amtool(args ...string) error   { return tool("amtool", args...) }

func tool(name string, args ...string) error {
	binary, err := parts.Binary(name)
	if err != nil {
		return err
	}
	if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w:\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// Rules are the rules as Prometheus reads them, as far as they are looked at here.
type Rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert       string
			Expr        string
			For         string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

const operatorHeader = `# Written by ` + "`make update-goldens`" + ` out of rules.yaml. Do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: gopprof
  namespace: gopprof
  labels:
    app.kubernetes.io/name: gopprof
    app.kubernetes.io/part-of: gopprof
spec:
`

// operatorRule is the object of the Prometheus operator with the same rules.
func operatorRule(rules []byte) []byte {
	var out bytes.Buffer
	out.WriteString(operatorHeader)
	for line := range strings.Lines(string(rules)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		out.WriteString("  " + line)
	}
	return out.Bytes()
}

// Dashboard is a dashboard as Grafana reads it, as far as it is looked at here.
type Dashboard struct {
	UID           string `json:"uid"`
	Title         string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type string }
	}
	Panels []Panel
}

// Panel is one of its panels; of type row it is a heading.
type Panel struct {
	ID          int `json:"id"`
	Type        string
	Title       string
	Description string
	Datasource  source
	GridPos     struct{ H, W, X, Y int }
	Targets     []struct {
		RefID      string `json:"refId"`
		Expr       string
		Datasource source
	}
}

type source struct{ Type, UID string }

func dashboard() (Dashboard, error) {
	text, err := read(dir + "/gopprof-dashboard.json")
	if err != nil {
		return Dashboard{}, err
	}
	var d Dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return Dashboard{}, fmt.Errorf("reading the dashboard: %w", err)
	}
	return d, nil
}

// filled is an expression of the dashboard as Grafana would send it.
func filled(expr string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$agent", ".*").Replace(expr)
}

var (
	documented = regexp.MustCompile("(?m)^\\| `(gopprof_[a-z0-9_]+)` \\| ([a-z]+) \\| (.*?) \\|")
	quoted     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	grouping   = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\([^)]*\)|\bgroup_(?:left|right)\b(?:\s*\([^)]*\))?`)
	number     = regexp.MustCompile(`\b[0-9][0-9.a-z]*`) // durations among them
	selection  = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]`)
	named      = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
	byName     = regexp.MustCompile(`__name__=~"([^"]*)"`)
)

// metrics returns the names of metrics in docs/metrics.md, those of a histogram's series
// among them, with the labels they have.
func metrics(doc string) map[string][]string {
	all := map[string][]string{}
	for _, m := range documented.FindAllStringSubmatch(doc, -1) {
		labels := regexp.MustCompile("[a-z]+").FindAllString(m[3], -1)
		all[m[1]] = labels
		if m[2] == "histogram" {
			all[m[1]+"_bucket"], all[m[1]+"_sum"], all[m[1]+"_count"] = append(labels, "le"), labels, labels
		}
	}
	return all
}

// namesIn returns the metrics that an expression names; one that selects by an expression
// of names is returned as that, with ~ before it.
func namesIn(expr string) []string {
	var names []string
	for _, m := range byName.FindAllStringSubmatch(expr, -1) {
		names = append(names, "~"+m[1])
	}
	bare := selection.ReplaceAllString(quoted.ReplaceAllString(expr, `""`), "")
	bare = number.ReplaceAllString(grouping.ReplaceAllString(bare, ""), "")
	for _, word := range named.FindAllString(bare, -1) {
		switch name := strings.TrimSpace(word); {
		case strings.HasSuffix(name, "("):
		case strings.Contains(" and or unless offset bool ", " "+name+" "):
		default:
			names = append(names, name)
		}
	}
	return names
}
