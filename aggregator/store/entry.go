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

// entry is a report as the index holds it: what lists look at, and all of it but its
// capture's History packed, a tenth of what it takes unpacked.
type entry struct {
	card
	packed []byte // JSON, compressed
	// whole tells that nothing is missing: the report has no History. It would be as large as
	// everything else together, and nobody looks at it but who looks at this one report.
	whole bool
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

// newEntry packs a report.
func newEntry(r gopprof.Report) (*entry, error) {
	whole := !hasHistory(r)
	data, err := json.Marshal(withoutHistory(r))
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
	return &entry{card: cardOf(r), packed: bytes.Clone(packed.Bytes()), whole: whole}, nil
}

func hasHistory(r gopprof.Report) bool {
	h := r.Capture.History
	return len(h.Local)+len(h.Series) > 0 || h.SeriesBy != ""
}

// withoutHistory returns a report as lists and the index have it.
func withoutHistory(r gopprof.Report) gopprof.Report {
	r.Capture.History = gopprof.History{}
	return r
}

// report unpacks it, without a History: what is returned is the caller's own.
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
