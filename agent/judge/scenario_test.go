package judge

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

var start = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// readings is a target's use in steps of ten seconds, as ratios of its limit; a negative
// ratio is a reading that is missing.
type readings []float64

const step = 10 * time.Second

// parseReadings reads "0.2×60s 0.9×130s gap×30s": stretches of constant use.
func parseReadings(t *testing.T, text string) readings {
	t.Helper()
	var all readings
	for _, word := range strings.Fields(text) {
		value, length, ok := strings.Cut(word, "×")
		d, err := time.ParseDuration(length)
		if !ok || err != nil || d%step != 0 {
			t.Fatalf("stretch %q: not ratio×duration in steps of %s", word, step)
		}
		ratio := -1.0
		if value != "gap" {
			if ratio, err = strconv.ParseFloat(value, 64); err != nil {
				t.Fatalf("stretch %q: %v", word, err)
			}
		}
		for range d / step {
			all = append(all, ratio)
		}
	}
	return all
}

func (r readings) over(resource gopprof.Resource, from, to time.Time) gopprof.Window {
	w := gopprof.Window{Witness: gopprof.WitnessCadvisor, Start: from, End: to, HasCPU: true, HasMemory: true}
	var sum, covered float64
	for i, ratio := range r {
		s := start.Add(time.Duration(i) * step)
		overlap := min(to.Sub(s), s.Add(step).Sub(from), step)
		if ratio < 0 || overlap <= 0 {
			continue
		}
		sum += ratio * overlap.Seconds()
		covered += overlap.Seconds()
		w.Readings++
	}
	w.CoveredRatio = covered / to.Sub(from).Seconds()
	use := gopprof.Use{Limit: 1}
	if covered > 0 {
		use.Mean, use.Ratio = sum/covered, sum/covered
	}
	w.CPU, w.Memory = use, use
	if resource == gopprof.ResourceThrottled {
		w.ThrottledRatio = use.Ratio
	}
	return w
}

// until gives the windows that end at one moment.
type until struct {
	readings readings
	resource gopprof.Resource
	now      time.Time
}

func (u until) Windows(_ string, length time.Duration, n int) []gopprof.Window {
	var ws []gopprof.Window
	for i := n; i > 0; i-- {
		end := u.now.Add(-time.Duration(i-1) * length)
		if w := u.readings.over(u.resource, end.Add(-length), end); w.Readings > 0 {
			ws = append(ws, w)
		}
	}
	return ws
}

func (u until) Latest(string) (gopprof.Window, bool) {
	w := u.readings.over(u.resource, u.now.Add(-step), u.now)
	return w, w.Readings > 0
}

// TestScenarios runs the files of testdata/scenarios: a line names the rule, the next ones
// give what the target did and when, in seconds from the start, the rule fired, or what
// its last reason was.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScenarios(t, file) })
	}
}

func runScenarios(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		use, want, ok := strings.Cut(line, "→")
		resource, use, ok2 := strings.Cut(use, ":")
		if !ok || !ok2 {
			t.Fatalf("%s:%d: not `resource: use → outcome`", file, n)
		}
		got := play(gopprof.Resource(resource), parseReadings(t, use))
		if got != strings.TrimSpace(want) {
			t.Errorf("%s:%d: %s\n got %s", file, n, line, got)
		}
	}
}

// play runs a judge over the readings. Every firing is captured at once.
func play(resource gopprof.Resource, use readings) string {
	config := DefaultConfig()
	config.CPU.Enabled = resource == gopprof.ResourceCPU
	config.Memory.Enabled = resource == gopprof.ResourceMemory
	config.Throttled.Enabled = resource == gopprof.ResourceThrottled
	judge := New(config, nil, newRegistry())
	target := gopprof.Target{Namespace: "shop", Pod: "api-1", Container: "api"}
	var fired []string
	for i := 1; i <= len(use); i++ {
		now := start.Add(time.Duration(i) * step)
		for _, f := range judge.Judge(target, until{use, resource, now}, now) {
			word := fmt.Sprintf("fires at %ds", i*int(step.Seconds()))
			if f.Evidence.AtOnce {
				word += " at once"
			}
			fired = append(fired, word)
			judge.Captured(f, "c", gopprof.Agreement{}, now)
		}
	}
	if len(fired) > 0 {
		return strings.Join(fired, ", ")
	}
	return string(judge.States(target.Key())[0].Reason)
}
