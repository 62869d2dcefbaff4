package soak

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gopprof/gopprof/docs/gen/metricsdoc"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// list returns all reports as the API lists them.
func (s *scene) list(ctx context.Context) (all []api.ReportSummary, err error) {
	for after := ""; ; {
		var page api.ReportList
		path := fmt.Sprintf("%s?limit=%d&after=%s", api.PathReports, api.MaxLimit, url.QueryEscape(after))
		if err := s.GetJSON(ctx, path, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Reports...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

// contradicted returns the reports that by default are told to nobody.
func contradicted(reports []api.ReportSummary) map[string]bool {
	silent := map[string]bool{}
	for _, r := range reports {
		if r.Agreement == gopprof.AgreementContradicted {
			silent[r.ID] = true
		}
	}
	return silent
}

// spooled returns what lies in the agent's spool beside its lock.
func (s *scene) spooled() (left []string) {
	_ = filepath.WalkDir(filepath.Join(s.Dir, "agent", "spool"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			left = append(left, d.Name())
		}
		return nil
	})
	return left
}

// stored returns the reports in the store, whose files must be there, whole, and beside
// which there must be nothing.
func (s *scene) stored() (ids []string) {
	s.t.Helper()
	root := filepath.Join(s.Dir, "store", "reports")
	files, known := map[string]bool{}, map[string]bool{}
	must(s.t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && d.Name() == ".tmp" {
				return fs.SkipDir // what a killed process leaves there is swept later
			}
			return err
		}
		files[path] = true
		if d.Name() != "report.json" {
			return nil
		}
		var r gopprof.Report
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		ids, known[path] = append(ids, r.ID), true
		for _, file := range r.Files {
			known[filepath.Join(root, file.Profile)] = true
			if file.Drawing != "" {
				known[filepath.Join(root, file.Drawing)] = true
			}
			s.whole(root, r, file)
		}
		return nil
	}))
	for path := range files {
		if !known[path] {
			s.t.Errorf("leftover in the store: %s", path)
		}
	}
	for path := range known {
		if !files[path] {
			s.t.Errorf("missing in the store: %s", path)
		}
	}
	return ids
}

// whole checks a profile's bytes.
func (s *scene) whole(root string, r gopprof.Report, file gopprof.File) {
	data, err := os.ReadFile(filepath.Join(root, file.Profile))
	p, ok := r.Capture.Profile(file.Kind)
	if sum := sha256.Sum256(data); err != nil || !ok || hex.EncodeToString(sum[:]) != p.SHA256 {
		s.t.Errorf("report %s: the stored bytes of %s are not those that were taken: %v", r.ID, file.Kind, err)
	}
}

// streams looks at what the embedded NATS holds after the aggregator's end: the reports,
// the dead letters, and nothing else.
func (s *scene) streams() (announced []string, dead map[string]string) {
	s.t.Helper()
	nats := bustest.Start(s.t, bustest.Options{Dir: filepath.Join(s.Dir, "nats")})
	for _, stream := range []string{bus.StreamCaptures, bus.StreamBytes} {
		for _, m := range nats.Read(stream) {
			s.t.Errorf("leftover in %s: %s", stream, m.Subject)
		}
	}
	for _, m := range nats.Read("KV_gopprof-starts") {
		if m.Header.Get("KV-Operation") == "" { // not a deletion
			s.t.Errorf("leftover in gopprof-starts: %s", m.Subject)
		}
	}
	for _, m := range nats.Read(bus.StreamReports) {
		r, err := wire.DecodeReport(m.Data)
		if err != nil || !strings.HasSuffix(m.Subject, "."+r.ID) {
			s.t.Errorf("report %q was announced as %s: %v", r.ID, m.Subject, err)
		}
		announced = append(announced, r.ID)
	}
	dead = map[string]string{}
	for _, m := range nats.Read(bus.StreamDead) {
		dead[m.Subject[strings.LastIndex(m.Subject, ".")+1:]] = m.Header.Get(bus.HeaderReason)
	}
	return announced, dead
}

// mayBe returns the reasons of the closed set that the faults can give. That one of the
// others comes up is a fault.
func (s *scene) mayBe() map[string]bool {
	s.t.Helper()
	root, err := parts.Root()
	must(s.t, err)
	set, err := metricsdoc.Reasons(filepath.Join(root, "pkg", "gopprof", "reason.go"))
	must(s.t, err)
	closed := map[string]bool{}
	for _, r := range set {
		closed[r.Name] = true
	}
	may := map[string]bool{}
	for _, r := range []gopprof.Reason{
		gopprof.ReasonBudget, gopprof.ReasonNodeBusy, gopprof.ReasonContended, gopprof.ReasonCapturing, gopprof.ReasonCancelled,
		gopprof.ReasonUnreachable, gopprof.ReasonTimeout, gopprof.ReasonStatus, gopprof.ReasonGone, gopprof.ReasonWorkerDied,
	} {
		if !closed[string(r)] {
			s.t.Errorf("reason %s is not in the closed set", r)
		}
		may[string(r)] = true
	}
	return may
}

// compareMetrics checks that the agent counts what its log says, in this life.
func (s *scene) compareMetrics(ctx context.Context) {
	s.t.Helper()
	metrics, err := get(ctx, strings.TrimSuffix(s.Status, "/status")+"/metrics")
	must(s.t, err)
	said := map[string]int{}
	lines, _ := s.Agent.Lines()
	for _, l := range lines {
		switch l.Text("msg") {
		case lineFired:
			said["fired"]++
		case lineNothing:
			said[l.Text("reason")]++
		}
	}
	counted := sum(metrics, "gopprof_agent_judge_refused_firings_total")
	counted["fired"] = sum(metrics, "gopprof_agent_judge_decisions_total")["fired"]
	for reason := range s.mayBe() {
		if said[reason] != counted[reason] {
			s.t.Errorf("%s: the agent's log says %d, its metrics %d", reason, said[reason], counted[reason])
		}
	}
	if said["fired"] != counted["fired"] {
		s.t.Errorf("the agent's log says that rules fired %d times, its metrics %d", said["fired"], counted["fired"])
	}
}

// sum adds up a counter by its label reason.
func sum(metrics []byte, name string) map[string]int {
	sums := map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(metrics)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name+"{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(rest, "} ")
		_, reason, _ := strings.Cut(labels, `reason="`)
		reason, _, _ = strings.Cut(reason, `"`)
		n, _ := strconv.ParseFloat(value, 64)
		sums[reason] += int(n)
	}
	return sums
}

// audit fails the test for each fault of the account, with what both programs said of it,
// and for what neither should ever say.
func (s *scene) audit(a Account, b Books) {
	for _, fault := range a.Faults {
		s.t.Errorf("%s%s", fault, s.about(fault))
	}
	for _, name := range []string{"agent.log", "aggregator.log"} {
		log, err := os.ReadFile(filepath.Join(s.Dir, name))
		must(s.t, err)
		for line := range strings.Lines(string(log)) {
			if alarming(line) {
				s.t.Errorf("%s: %s", name, strings.TrimSpace(line))
			}
		}
	}
	if left := s.spooled(); len(left) > 0 {
		s.t.Errorf("leftover in the spool: %v", left)
	}
}

// alarming tells whether a line is of a severity that none of the faults explains, or no
// log line at all: a panic, a race, a complaint of the runtime.
func alarming(text string) bool {
	var l rig.Line
	if json.Unmarshal([]byte(text), &l) != nil {
		return true
	}
	explained := []string{
		"budget became unreachable, firing agents are on their own", // frozen for more than a moment
	}
	return l.Text("level") == "error" && !slices.Contains(explained, l.Text("msg"))
}

// about returns what the logs say of the capture that a fault names.
func (s *scene) about(fault string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(fault, func(r rune) bool { return r == ' ' || r == '(' || r == ')' || r == '"' || r == ':' }) {
		if gopprof.CheckID(word) != nil {
			continue
		}
		for _, name := range []string{"agent.log", "aggregator.log"} {
			log, _ := os.ReadFile(filepath.Join(s.Dir, name))
			for line := range strings.Lines(string(log)) {
				if strings.Contains(line, word) {
					fmt.Fprintf(&b, "\n\t%s: %s", name, strings.TrimSpace(line))
				}
			}
		}
	}
	return b.String()
}

// field returns the number behind a word of a file like /proc/PID/status.
func field(text, name string) int {
	_, rest, _ := strings.Cut(text, name)
	words := strings.Fields(rest)
	if len(words) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(words[0])
	return n
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 64<<20))
}

func getJSON(ctx context.Context, url string, into any) error {
	data, err := get(ctx, url)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
