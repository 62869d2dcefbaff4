package alerting

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gopprof/gopprof/test/parts"
)

var update = flag.Bool("update", false, "write the operator's object anew")

func must(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, parts.ErrNotBuilt) {
		parts.Missing(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func rules(t *testing.T) (Rules, []byte) {
	t.Helper()
	text, err := read(dir + "/rules.yaml")
	must(t, err)
	var r Rules
	must(t, yaml.Unmarshal(text, &r))
	return r, text
}

func path(t *testing.T, of string) string {
	t.Helper()
	root, err := parts.Root()
	must(t, err)
	return filepath.Join(root, of)
}

func TestOperatorHasTheSameRules(t *testing.T) {
	_, text := rules(t)
	want := operatorRule(text)
	if *update {
		must(t, os.WriteFile(path(t, dir+"/prometheusrule.yaml"), want, 0o644))
	}
	got, err := read(dir + "/prometheusrule.yaml")
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Error("prometheusrule.yaml is not what rules.yaml says: run `make update-goldens`")
	}
	var object struct{ Spec Rules }
	must(t, yaml.Unmarshal(got, &object))
	plain, _ := rules(t)
	if len(object.Spec.Groups) != len(plain.Groups) || len(plain.Groups) == 0 {
		t.Errorf("%d groups, and %d in rules.yaml", len(object.Spec.Groups), len(plain.Groups))
	}
}

func TestRulesAreRules(t *testing.T) { must(t, promtool("check", "rules", path(t, dir+"/rules.yaml"))) }

// Every alert fires when it should and not before: of each there is a case of both.
func TestRulesFire(t *testing.T) {
	cases := path(t, "test/alerting/testdata/rules.test.yaml")
	must(t, promtool("test", "rules", cases))
	text, err := os.ReadFile(cases)
	must(t, err)
	var all struct {
		Tests []struct {
			Looks []struct {
				Alert  string `yaml:"alertname"`
				Expect []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	must(t, yaml.Unmarshal(text, &all))
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, test := range all.Tests {
		for _, look := range test.Looks {
			if len(look.Expect) > 0 {
				fires[look.Alert] = true
			} else {
				rests[look.Alert] = true
			}
		}
	}
	r, _ := rules(t)
	for _, g := range r.Groups {
		for _, rule := range g.Rules {
			if !fires[rule.Alert] || !rests[rule.Alert] {
				t.Errorf("%s: tested firing %t, not firing %t", rule.Alert, fires[rule.Alert], rests[rule.Alert])
			}
		}
	}
}

const runbook = "https://github.com/gopprof/gopprof/blob/main/"

// Each alert says what it means and leads to a page of the runbook that is there. Its name
// must not be one of those that gopprof's channel sends.
func TestRulesLeadToTheRunbook(t *testing.T) {
	r, _ := rules(t)
	seen := map[string]bool{}
	for _, g := range r.Groups {
		for _, rule := range g.Rules {
			if seen[rule.Alert] || !strings.HasPrefix(rule.Alert, "Gopprof") || rule.Alert == "GopprofHot" || rule.Alert == "GopprofTest" {
				t.Errorf("an alert named %q", rule.Alert)
			}
			seen[rule.Alert] = true
			if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
				t.Errorf("%s: severity %q", rule.Alert, rule.Labels["severity"])
			}
			for _, name := range []string{"summary", "description", "runbook_url"} {
				if rule.Annotations[name] == "" {
					t.Errorf("%s has no %s", rule.Alert, name)
				}
			}
			page, ok := strings.CutPrefix(rule.Annotations["runbook_url"], runbook)
			if _, err := read(page); !ok || err != nil || !strings.HasPrefix(page, "docs/runbook/") {
				t.Errorf("%s: %s: %v", rule.Alert, rule.Annotations["runbook_url"], err)
			}
		}
	}
}

// foreign are metrics that Prometheus and its client make.
var foreign = []string{"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}

// TestMetricsAreThere holds every metric that a rule or a panel names, and the labels that it
// selects by, against docs/metrics.md.
func TestMetricsAreThere(t *testing.T) {
	doc, err := read("docs/metrics.md")
	must(t, err)
	known := metrics(string(doc))
	for where, expr := range expressions(t) {
		names := namesIn(expr)
		if len(names) == 0 {
			t.Errorf("%s: no metric in %s", where, expr)
		}
		for _, name := range names {
			if pattern, ok := strings.CutPrefix(name, "~"); ok {
				checkPattern(t, where, pattern, known)
				continue
			}
			if _, there := known[name]; !there && !slices.Contains(foreign, name) {
				t.Errorf("%s: there is no metric %s", where, name)
			}
			checkLabels(t, where, expr, name, known[name])
		}
	}
}

func checkPattern(t *testing.T, where, pattern string, known map[string][]string) {
	t.Helper()
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	for name := range known {
		if re.MatchString(name) {
			return
		}
	}
	t.Errorf("%s: no metric is named as %s", where, pattern)
}

// checkLabels looks at the labels in the selectors of one metric.
func checkLabels(t *testing.T, where, expr, name string, labels []string) {
	t.Helper()
	selector := regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\{([^}]*)\}`)
	label := regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	for _, m := range selector.FindAllStringSubmatch(quoted.ReplaceAllString(expr, `""`), -1) {
		for _, l := range label.FindAllStringSubmatch(m[1], -1) {
			if !slices.Contains(labels, l[1]) && l[1] != "job" && l[1] != "instance" {
				t.Errorf("%s: %s has no label %s, but %v", where, name, l[1], labels)
			}
		}
	}
}

// expressions are all of the rules' and the dashboard's, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	r, _ := rules(t)
	for _, g := range r.Groups {
		for _, rule := range g.Rules {
			all["rule "+rule.Alert] = rule.Expr
		}
	}
	d, err := dashboard()
	must(t, err)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all[fmt.Sprintf("panel %q %s", p.Title, target.RefID)] = filled(target.Expr)
		}
	}
	return all
}

func TestNamesInExpressions(t *testing.T) {
	for expr, want := range map[string]string{
		`up{job=~"x.y"} == 0`: "up",
		`sum by (job, reason) (rate(a_total{reason="b_total"}[5m])) > 0.5 * on(job) group_left c_bytes`: "a_total c_bytes",
		`a unless a offset 1h or max(b > 0)`:                            "a a b",
		`histogram_quantile(0.5, sum by (le) (rate(h_bucket[5m])))`:     "h_bucket",
		`sum({__name__=~"g_(a|b)_targets"})`:                            "~g_(a|b)_targets",
		`time() - max(t_seconds > 0) > 86400`:                           "t_seconds",
		`sum(rate(f[1m])) without (x) unless sum by (r) (rate(t[1m])) `: "f t",
	} {
		if got := strings.Join(namesIn(expr), " "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

// TestDashboard: what Grafana would take without a word and show as nothing.
func TestDashboard(t *testing.T) {
	d, err := dashboard()
	must(t, err)
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 39 || len(d.Panels) == 0 {
		t.Errorf("dashboard %q %q of schema %d with %d panels", d.UID, d.Title, d.SchemaVersion, len(d.Panels))
	}
	if !slices.ContainsFunc(d.Templating.List, func(v struct{ Name, Type string }) bool { return v.Name == "datasource" && v.Type == "datasource" }) {
		t.Errorf("variables %+v: the data source is none", d.Templating.List)
	}
	ids, titles := map[int]bool{}, map[string]bool{}
	for i, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || titles[p.Title] || p.Title == "" {
			t.Errorf("panel %q has ID %d, and one of them stands twice", p.Title, p.ID)
		}
		ids[p.ID], titles[p.Title] = true, true
		for _, q := range d.Panels[:i] {
			a, b := p.GridPos, q.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %q and %q lie one over the other", p.Title, q.Title)
			}
		}
		if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W < 1 || p.GridPos.H < 1 {
			t.Errorf("panel %q is at %+v", p.Title, p.GridPos)
		}
		if p.Type != "row" {
			checkPanel(t, p)
		}
	}
}

func checkPanel(t *testing.T, p Panel) {
	t.Helper()
	variable := source{"prometheus", "${datasource}"}
	if p.Description == "" || len(p.Targets) == 0 || p.Datasource != variable {
		t.Errorf("panel %q: %q, %d expressions, data source %+v", p.Title, p.Description, len(p.Targets), p.Datasource)
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if refs[target.RefID] || target.Datasource != variable {
			t.Errorf("panel %q: expression %q of %+v", p.Title, target.RefID, target.Datasource)
		}
		refs[target.RefID] = true
	}
}

// TestExpressionsParse lets promtool read the dashboard's expressions as rules.
func TestExpressionsParse(t *testing.T) {
	type rule struct {
		Record string            `yaml:"record"`
		Expr   string            `yaml:"expr"`
		Labels map[string]string `yaml:"labels"`
	}
	var all []rule
	for where, expr := range expressions(t) {
		if strings.Contains(expr, "$") {
			t.Errorf("%s: a variable that is not known here: %s", where, expr)
		}
		all = append(all, rule{fmt.Sprintf("expression:%d", len(all)), expr, map[string]string{"where": where}})
	}
	slices.SortFunc(all, func(a, b rule) int { return strings.Compare(a.Record, b.Record) })
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": all}}})
	must(t, err)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	must(t, os.WriteFile(file, text, 0o600))
	must(t, promtool("check", "rules", file))
}
