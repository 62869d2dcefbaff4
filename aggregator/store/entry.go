package store

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// entry is a report as the index holds it: what queries look at, and what lists show, packed.
type entry struct {
	card
	packed []byte // of listed: JSON, compressed
}

// card is what a query looks at.
type card struct {
	id, incident            string
	cluster, namespace, pod string
	workload                gopprof.Workload
	kinds                   []gopprof.Kind // of its files
	cause                   gopprof.CauseKind
}

func cardOf(r gopprof.Report) card {
	t := r.Capture.Target
	c := card{
		id: r.ID, incident: r.Capture.Incident,
		cluster: t.Cluster, namespace: t.Namespace, pod: t.Pod, workload: t.Workload,
	}
	for _, f := range r.Files {
		c.kinds = append(c.kinds, f.Kind)
	}
	// One of the set's own strings, so that a hundred thousand entries hold seven.
	c.cause, _ = gopprof.ParseCauseKind(string(r.Explanation.Cause().Kind))
	return c
}

// packers are kept, because each holds more than a megabyte.
var packers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is one that there is
	}
	return w
}}

// newEntry packs a report, or what is listed of it.
func newEntry(r gopprof.Report) (*entry, error) {
	data, err := json.Marshal(listed(r))
	if err != nil {
		return nil, fmt.Errorf("packing report %q: %w", r.ID, err)
	}
	var packed bytes.Buffer
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.Reset(&packed)
	if _, err := w.Write(data); err != nil {
		return nil, fmt.Errorf("packing report %q: %w", r.ID, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing report %q: %w", r.ID, err)
	}
	return &entry{card: cardOf(r), packed: bytes.Clone(packed.Bytes())}, nil
}

// listed returns a report as lists and the index have it. It names what is kept, not what is
// left out: the rest is as large as a target's profiles make it, a hundred times this, and
// nobody looks at it but who looks at this one report.
func listed(r gopprof.Report) gopprof.Report {
	c := r.Capture
	l := gopprof.Report{Version: r.Version, ID: r.ID, MadeAt: r.MadeAt, Page: r.Page}
	l.Capture = gopprof.Capture{
		ID: c.ID, Incident: c.Incident, Target: c.Target, Start: c.Start, End: c.End,
		Trigger:    gopprof.Trigger{Kind: c.Trigger.Kind, At: c.Trigger.At, Request: c.Trigger.Request},
		Agreement:  gopprof.Agreement{Result: c.Agreement.Result},
		Profiles:   c.Profiles,
		CPUSeconds: c.CPUSeconds,
	}
	if e := c.Trigger.Evidence; e != nil {
		l.Capture.Trigger.Evidence = &gopprof.Evidence{Rule: e.Rule, Resource: e.Resource}
	}
	l.Explanation = gopprof.Explanation{Summary: r.Explanation.Summary, Warnings: r.Explanation.Warnings}
	if v := r.Explanation.Verdict; v != nil {
		l.Explanation.Verdict = &gopprof.Verdict{Version: v.Version, Scope: v.Scope}
		for _, cause := range v.Causes {
			l.Explanation.Verdict.Causes = append(l.Explanation.Verdict.Causes, gopprof.Cause{Kind: cause.Kind, Confidence: cause.Confidence})
		}
	}
	for _, f := range r.Files {
		l.Files = append(l.Files, gopprof.File{Kind: f.Kind, Profile: f.Profile, Drawing: f.Drawing})
	}
	return l
}

// report unpacks what is listed of it: what is returned is the caller's own.
func (e *entry) report() (r gopprof.Report, err error) {
	data, err := io.ReadAll(flate.NewReader(bytes.NewReader(e.packed)))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return gopprof.Report{}, fmt.Errorf("unpacking report %q: %w", e.id, err)
	}
	return r, nil
}

func unpack(entries []*entry) ([]gopprof.Report, error) {
	var reports []gopprof.Report
	for _, e := range entries {
		r, err := e.report()
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}
