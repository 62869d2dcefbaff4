package hostile

import (
	"os"
	"testing"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile/victim/job"
	"github.com/gopprof/gopprof/test/parts"
)

// TestAggregator has aggregators make reports of what hostile agents could pass on: every
// payload as it is, with names of the corpus wherever an agent can put one.
func TestAggregator(t *testing.T) {
	t.Parallel()
	parts.NeedDot(t)
	texts := Names()
	var cases []Case
	for _, c := range Cases("127.0.0.1:1") {
		if c.Payload != nil && c.Identity == nil {
			cases = append(cases, c)
		}
	}
	for _, group := range groups(cases) {
		var sent []Case // of the group
		var jobs []job.Report
		for i, c := range group {
			files, ok := capturedFiles(t, c)
			if !ok {
				t.Logf("%s: refused before it is in memory: a capture of more than capture_max_bytes", c.Name)
				continue
			}
			sent, jobs = append(sent, c), append(jobs, job.Report{Files: files, Text: texts[i%len(texts)]})
		}
		if len(jobs) == 0 {
			continue
		}
		reported, err := suffer[job.Report, job.Reported](t.Context(), "report", jobs)
		if err != nil {
			t.Errorf("%s: %v", group[0].Name, err)
			continue
		}
		for i, r := range reported {
			t.Run(sent[i].Name, func(t *testing.T) { checkReported(t, sent[i], r) })
		}
	}
}

// capturedFiles are what a capture of a case consists of; false for one that no capture may hold.
func capturedFiles(t *testing.T, c Case) ([]job.File, bool) {
	t.Helper()
	var files []job.File
	left := bus.DefaultStreamConfig().CaptureMaxBytes
	for _, k := range c.Kinds() {
		path := written(t, c, k)
		info, err := os.Stat(path)
		if err != nil {
			return nil, false
		}
		if left -= info.Size(); left < 0 {
			return nil, false
		}
		files = append(files, job.File{Kind: k, Path: path})
	}
	return files, true
}

func checkReported(t *testing.T, c Case, r job.Reported) {
	m := r.Memory
	if testing.Verbose() {
		t.Logf("%q %s; no drawing: %q; drawn in %.1f s; %.1f MB, worker %.1f MB, dot %.1f MB, at one time %.1f MB; refused: %.80s", r.Reason, r.Detail, r.NoDrawing, r.DrawSeconds,
			float64(m.Peak-m.Before)/1e6, float64(m.WorkerPeak-m.WorkerBefore)/1e6, float64(m.Dot)/1e6,
			float64(m.SumPeak-m.SumBefore)/1e6, r.Refused)
	}
	if c.Kind == gopprof.KindTrace { // stored, and nothing is said of it
		c.Reasons = []gopprof.Reason{harmless}
	}
	if !c.Allows(r.Reason) {
		t.Errorf("reason %q (%s), want one of %q", r.Reason, r.Detail, c.Reasons)
	}
	if m.Cost() > mostBytes {
		t.Errorf("%d bytes of memory: %+v", m.Cost(), m)
	}
	checkLine(t, r.Detail)
	checkLine(t, r.NoDrawing)
	checkLine(t, r.Refused)
	if r.Reason == undecodable {
		return // there is no report
	}
	for _, svg := range r.Drawings {
		checkSVG(t, svg)
	}
	if len(c.Kinds()) == 1 && (len(r.Drawings) == 1) != (r.Reason == "" && r.NoDrawing == "" && c.Kind != gopprof.KindTrace) {
		t.Errorf("%d drawings; not drawn: %q", len(r.Drawings), r.NoDrawing)
	}
	checkHTML(t, r.Page)
	checkHTML(t, r.List)
	checkJSON(t, r.JSON)
	checkJSON(t, r.Event)
	checkSlack(t, r.Slack)
}
