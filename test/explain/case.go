package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Case is one planted cause, as a file of cases/ says it.
type Case struct {
	// Name is the case's own, by which it is chosen. Required.
	Name string `yaml:"name"`
	// Description says what was planted, to who reads the table. Required.
	Description string `yaml:"description"`
	// Rules are those of which one must have fired: cpu, memory, throttled. Required.
	Rules []string `yaml:"rules"`
	// Pods is how many instances run, the bad ones included. Default 3.
	Pods int `yaml:"pods"`
	// All is what all of them are, and do before anything is planted.
	All Pod `yaml:"all"`
	// Bad is what is planted.
	Bad Bad `yaml:"bad"`
	// Program is a program that nobody here wrote; empty is the burner.
	Program Program `yaml:"program"`
	// Expect is what the report must say.
	Expect Expect `yaml:"expect"`
}

// Pod is what every instance is.
type Pod struct {
	// CPUCores and MemoryMiB are the limits. Default 0.4 and 256.
	CPUCores  float64 `yaml:"cpu_cores"`
	MemoryMiB int     `yaml:"memory_mib"`
	// Environment is added to the program's.
	Environment map[string]string `yaml:"environment"`
	// Flags are the burner's.
	Flags []string `yaml:"flags"`
	// RequestsMetric is the counter of requests that the agent is told of: the burner shows
	// http_requests_total. Default none.
	RequestsMetric string `yaml:"requests_metric"`
	// Rate is how many ordinary visitors the burner serves per second. Default 3000, which
	// take 0.06 to 0.08 cores.
	Rate float64 `yaml:"rate"`
	// LoadCores is, in place of the rate, how much CPU each uses with ordinary visitors, as
	// many as that takes. Not for cases with a fault, whose CPU would count.
	LoadCores float64 `yaml:"load_cores"`
}

// Bad is what is wrong with some of the instances, and from when on.
type Bad struct {
	// Pods is how many are bad. Default 1.
	Pods int `yaml:"pods"`
	// Fault and Level are the burner's, Over is how long it takes to grow, 30s by default.
	Fault string        `yaml:"fault"`
	Level float64       `yaml:"level"`
	Over  time.Duration `yaml:"over"`
	// Rate or LoadCores is how many ordinary visitors come instead.
	Rate      float64 `yaml:"rate"`
	LoadCores float64 `yaml:"load_cores"`
	// CPUCores is the CPU limit instead.
	CPUCores float64 `yaml:"cpu_cores"`
	// Load is what is asked of a program, beyond its ordinary load.
	Load Load `yaml:"load"`
}

// Program is how a foreign program is started and asked. In all of its texts {bin} stands
// for .cache/bin, {dir} for a directory of the instance, {port} and {port2} for free ports.
type Program struct {
	// Command is the command line, Files are what it needs in its directory, by name.
	Command []string          `yaml:"command"`
	Files   map[string]string `yaml:"files"`
	// Pprof is the URL of its net/http/pprof, Ready one that answers once it works.
	Pprof string `yaml:"pprof"`
	Ready string `yaml:"ready"`
	// Prepare is asked once of every instance, Load all the time.
	Prepare []Load `yaml:"prepare"`
	Load    Load   `yaml:"load"`
}

// Load is requests that are made of a program, or a command that makes them.
type Load struct {
	// URL, Method (default POST) and Body are the request. {n} in them counts up: with Lines,
	// the body is repeated that many times, and {n} counts each.
	URL    string `yaml:"url"`
	Method string `yaml:"method"`
	Body   string `yaml:"body"`
	Lines  int    `yaml:"lines"`
	// PerSecond is how often. One that has not been answered holds up the next. Default 1.
	PerSecond float64 `yaml:"per_second"`
	// Times is how often in all; 0 is until the end.
	Times int `yaml:"times"`
	// Command makes the load until it is ended, in place of requests.
	Command []string `yaml:"command"`
}

// Expect is what a right report says.
type Expect struct {
	// Causes are the kinds of which the first cause must be one. "none": no cause at all.
	Causes []string `yaml:"causes"`
	// Summary is a regular expression that must match the report's first line.
	Summary string `yaml:"summary"`
	// Never are regular expressions that must match neither the first line nor anything that
	// is said to be sure.
	Never []string `yaml:"never"`
	// Control is a case in which nothing is wrong with the code: any cause may be named, as
	// long as no cause but those of Causes is said to be sure.
	Control bool `yaml:"control"`
}

// noCause stands in Causes for a report that names none.
const noCause = "none"

// readCases reads all files of a directory, in the order of their names.
func readCases(dir string) ([]Case, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading cases: %w", err)
	}
	var cases []Case
	for _, path := range paths {
		c := defaultCase()
		if err := config.Load(path, &c); err != nil {
			return nil, fmt.Errorf("reading case %q: %w", path, err)
		}
		if slices.ContainsFunc(cases, func(o Case) bool { return o.Name == c.Name }) {
			return nil, fmt.Errorf("reading case %q: there is another of its name", path)
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("reading cases: none in %q", dir)
	}
	return cases, nil
}

func defaultCase() Case {
	return Case{Pods: 3, All: Pod{CPUCores: 0.4, MemoryMiB: 256, Rate: 3000}, Bad: Bad{Pods: 1, Over: 30 * time.Second}}
}

// Check reports what makes no sense.
func (c Case) Check(report func(key, problem string)) {
	if c.Name == "" || c.Description == "" {
		report("name", "and description are required")
	}
	if len(c.Rules) == 0 {
		report("rules", "are required")
	}
	if c.Bad.Pods < 1 || c.Pods < c.Bad.Pods || c.Pods > 10 {
		report("pods", "must be at least bad.pods and at most 10")
	}
	if c.All.LoadCores > 0 && c.Bad.Fault != "" {
		report("all.load_cores", "goes without bad.fault")
	}
	if len(c.Program.Command) > 0 && (c.Program.Pprof == "" || c.Program.Ready == "") {
		report("program", "needs pprof and ready")
	}
}

// Check reports what makes no sense.
func (e Expect) Check(report func(key, problem string)) {
	for _, cause := range e.Causes {
		if cause != noCause && !slices.Contains(gopprof.CauseKinds(), gopprof.CauseKind(cause)) {
			report("causes", fmt.Sprintf("%q is not one of %v", cause, gopprof.CauseKinds()))
		}
	}
	if len(e.Causes) == 0 {
		report("causes", "are required")
	}
	for _, pattern := range append([]string{e.Summary}, e.Never...) {
		if _, err := regexp.Compile(pattern); err != nil {
			report("summary", err.Error())
		}
	}
}
