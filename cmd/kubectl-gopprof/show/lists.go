package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// View is how a table is to look.
type View struct {
	Now        time.Time
	Wide       bool
	Namespaces bool // with a column of namespaces
}

// summaryMost is how much of a report's summary stands in a list, in characters.
const summaryMost = 90

// row is a table row in the making: each part is there in some views only.
type row []string

func (r row) when(yes bool, cells ...string) row {
	if yes {
		return append(r, cells...)
	}
	return r
}

// Reports lists reports.
func Reports(v View, list []api.ReportSummary) *Table {
	t := &Table{Header: row{"REPORT", "AGE"}.when(v.Namespaces, "NAMESPACE").when(true, "POD", "WHY", "KINDS").
		when(v.Wide, "WORKLOAD", "CONTAINER", "NODE", "AGREEMENT", "OWNER", "PAGE").when(true, "SUMMARY")}
	for _, r := range list {
		summary := r.Summary
		if !v.Wide {
			summary = Clip(summary, summaryMost)
		}
		t.Add(row{r.ID, Age(v.Now, r.Start)}.when(v.Namespaces, r.Namespace).when(true, r.Pod, why(r), join(r.Kinds)).
			when(v.Wide, r.Workload.String(), r.Container, r.Node, dash(string(r.Agreement)), dash(r.Owner), dash(r.Page)).when(true, summary)...)
	}
	return t
}

func why(r api.ReportSummary) string {
	if r.Rule != "" {
		return string(r.Trigger) + " " + r.Rule
	}
	return string(r.Trigger)
}

// Operations lists operations.
func Operations(v View, list []gopprof.Operation) *Table {
	t := &Table{Header: row{"OPERATION", "AGE"}.when(v.Namespaces, "NAMESPACE").when(true, "ASKED", "KINDS", "WHO").
		when(v.Wide, "INCIDENT", "MATCHED", "CANCELLED").when(true, "STATE")}
	for _, o := range list {
		t.Add(row{o.ID, Age(v.Now, o.At)}.when(v.Namespaces, o.Asked.Namespace).when(true, Asked(o.Asked), join(o.Asked.Kinds), dash(o.Who)).
			when(v.Wide, dash(o.Incident), fmt.Sprint(o.Matched), Age(v.Now, o.Cancelled)).when(true, Progress(o))...)
	}
	return t
}

// Asked names what an operation is about, as the command line would.
func Asked(m gopprof.Manual) string {
	switch {
	case m.Pod != "":
		return "pod/" + m.Pod
	case m.Selector != "":
		return "-l " + m.Selector
	}
	return m.Workload.String()
}

// Progress counts an operation's captures by their state: "3 stored, 1 failed".
func Progress(o gopprof.Operation) string {
	count := map[gopprof.CaptureState]int{}
	for _, c := range o.Captures {
		count[c.State]++
	}
	var parts []string
	for _, s := range []gopprof.CaptureState{gopprof.CaptureStored, gopprof.CaptureFailed, gopprof.CaptureProfiling, gopprof.CaptureWaiting} {
		if count[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[s], s))
		}
	}
	if len(parts) == 0 {
		return "no pods"
	}
	return strings.Join(parts, ", ")
}

// Captures lists the captures of an operation: what became of each pod.
func Captures(v View, o gopprof.Operation) *Table {
	reasons := slices.ContainsFunc(o.Captures, func(c gopprof.OperationCapture) bool { return Because(c.Reason, c.Detail) != "" })
	t := &Table{Header: row{"POD", "STATE", "REPORT"}.when(v.Wide, "CONTAINER", "NODE", "CAPTURE").when(reasons, "WHY")}
	for _, c := range Sorted(o.Captures) {
		t.Add(row{c.Target.Pod, string(c.State), dash(c.Report)}.
			when(v.Wide, c.Target.Container, c.Target.Node, c.Capture).when(reasons, Because(c.Reason, c.Detail))...)
	}
	return t
}

// Sorted returns captures in the order in which people read them: by pod.
func Sorted(captures []gopprof.OperationCapture) []gopprof.OperationCapture {
	return slices.SortedStableFunc(slices.Values(captures), func(a, b gopprof.OperationCapture) int {
		return cmp.Or(strings.Compare(a.Target.Pod, b.Target.Pod), strings.Compare(a.Target.Container, b.Target.Container))
	})
}

func join(kinds []gopprof.Kind) string {
	var all []string
	for _, k := range kinds {
		all = append(all, string(k))
	}
	return dash(strings.Join(all, ","))
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Silences lists silences.
func Silences(v View, list []api.Silence) *Table {
	t := &Table{Header: row{"SILENCE", "ENDS"}.when(v.Namespaces, "NAMESPACE").when(true, "WORKLOAD", "CAUSE", "WHO").when(v.Wide, "CLUSTER", "AGE").when(true, "WHY")}
	for _, s := range list {
		t.Add(row{s.ID, s.Until.UTC().Format("2006-01-02 15:04 UTC")}.when(v.Namespaces, s.Namespace).
			when(true, s.Workload, dash(string(s.Cause)), dash(s.Who)).when(v.Wide, dash(s.Cluster), Age(v.Now, s.At)).when(true, s.Why)...)
	}
	return t
}
