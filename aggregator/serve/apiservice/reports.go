package apiservice

import (
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// report is a report as an object of Kubernetes.
type report struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Summary           api.ReportSummary `json:"summary"`
	Report            *gopprof.Report   `json:"report,omitempty"` // of a single one
}

type reportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []report `json:"items"`
}

// reports answers for a list of reports, newest first, and for one.
func (s *service) reports(w http.ResponseWriter, r *http.Request, a asked) {
	if a.name != "" {
		s.oneReport(w, r, a)
		return
	}
	o, problem := readListOptions(r)
	if problem != "" {
		writeStatus(w, http.StatusBadRequest, problem)
		return
	}
	page, err := s.Reports.List(r.Context(), api.ReportQuery{Cluster: s.Cluster, Namespace: a.namespace, Limit: pageSize(o.limit), After: o.after})
	if err != nil {
		s.fail(r.Context(), w, "listing reports", err)
		return
	}
	list := reportList{TypeMeta: metav1.TypeMeta{APIVersion: groupVersion, Kind: "ReportList"}, ListMeta: metav1.ListMeta{Continue: page.Next}, Items: []report{}}
	for _, x := range page.Reports {
		list.Items = append(list.Items, newReport(x))
	}
	if !wantsTable(r) {
		writeJSON(w, http.StatusOK, list)
		return
	}
	s.writeReports(w, r, list)
}

// pageSize is how many reports one answer has. Whoever names no limit gets no more than
// the API ever gives at once, and is told by "continue" that there are others.
func pageSize(limit int) int {
	if limit == 0 {
		return api.MaxLimit
	}
	return min(limit, api.MaxLimit)
}

func (s *service) oneReport(w http.ResponseWriter, r *http.Request, a asked) {
	found, err := s.Reports.Report(r.Context(), a.name)
	if t := found.Capture.Target; err == nil && (t.Namespace != a.namespace || t.Cluster != s.Cluster) {
		err = &gopprof.Error{Reason: gopprof.ReasonUnknown}
	}
	if gopprof.ReasonOf(err) == gopprof.ReasonUnknown {
		writeStatus(w, http.StatusNotFound, "reports.gopprof.io "+quote(a.name)+" not found")
		return
	}
	if err != nil {
		s.fail(r.Context(), w, "reading report", err)
		return
	}
	one := newReport(found)
	if wantsTable(r) {
		s.writeReports(w, r, reportList{Items: []report{one}})
		return
	}
	one.Report = &found
	writeJSON(w, http.StatusOK, one)
}

func newReport(r gopprof.Report) report {
	return report{
		TypeMeta: metav1.TypeMeta{APIVersion: groupVersion, Kind: "Report"},
		ObjectMeta: metav1.ObjectMeta{
			Name: r.ID, UID: types.UID(r.ID), Namespace: r.Capture.Target.Namespace, CreationTimestamp: metav1.NewTime(r.Capture.Start),
		},
		Summary: api.Summarize(r),
	}
}

func (s *service) writeReports(w http.ResponseWriter, r *http.Request, list reportList) {
	items := make([]item[report], 0, len(list.Items))
	for _, x := range list.Items {
		items = append(items, item[report]{x.ObjectMeta, x})
	}
	t, err := table(r, list.ListMeta, reportColumns(s.Now()), items)
	if err != nil {
		s.fail(r.Context(), w, "listing reports", err)
		return
	}
	writeJSON(w, http.StatusOK, t)
}

func reportColumns(now time.Time) []column[report] {
	return []column[report]{
		{name: "Name", description: "ID of the report.", cell: func(r report) string { return r.Name }},
		{name: "Workload", description: "What the pod belongs to.", cell: func(r report) string { return r.Summary.Workload.String() }},
		{name: "Pod", description: "The pod that was profiled.", cell: func(r report) string { return r.Summary.Pod }},
		{name: "Trigger", description: "Why it was: the rule that fired, or who asked.", cell: func(r report) string { return triggerOf(r.Summary) }},
		{name: "Cause", description: "What the profiles say.", cell: func(r report) string { return r.Summary.Summary }},
		{name: "Age", description: "How long ago it was profiled.", cell: func(r report) string { return age(r.Summary.Start, now) }},
		{name: "Node", description: "Where the pod ran.", wide: true, cell: func(r report) string { return r.Summary.Node }},
		{name: "Container", description: "The container that was profiled.", wide: true, cell: func(r report) string { return r.Summary.Container }},
		{name: "Agreement", description: "What the second witness said.", wide: true, cell: func(r report) string { return string(r.Summary.Agreement) }},
	}
}

func triggerOf(s api.ReportSummary) string {
	if s.Rule != "" {
		return string(s.Trigger) + "/" + s.Rule
	}
	return string(s.Trigger)
}
