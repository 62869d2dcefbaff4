package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// HeaderOperation names the operation that a fresh profile was taken by.
	HeaderOperation = "X-Gopprof-Operation"
	// headerPprof is net/http/pprof's: `go tool pprof` shows the text of a refusal that has it.
	headerPprof = "X-Go-Pprof"
	// cancelWithin is how long it may take to stop what a caller left behind.
	cancelWithin = 10 * time.Second
	// freshWithin bounds one answer with fresh profiles, whatever becomes of the operation.
	freshWithin = 20 * time.Minute
)

// workloadKinds are the workloads that have fresh profiles, by Kubernetes' names in paths.
var workloadKinds = map[string]string{
	"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet",
	"replicasets": "ReplicaSet", "jobs": "Job", "cronjobs": "CronJob", "hosts": "Host",
}

// pages are net/http/pprof's pages that are profiles.
var pages = map[string]gopprof.Kind{
	"profile": gopprof.KindCPU, "heap": gopprof.KindHeap, "allocs": gopprof.KindAllocs, "goroutine": gopprof.KindGoroutine,
	"mutex": gopprof.KindMutex, "block": gopprof.KindBlock, "threadcreate": gopprof.KindThreadcreate, "trace": gopprof.KindTrace,
}

// fresh takes a profile now and answers with it, as net/http/pprof does: of one pod, or of
// one wave of a workload's pods as one. It is stored as a report like any other. A caller
// who leaves cancels it.
func (h handlers) fresh(w http.ResponseWriter, r *http.Request) {
	m, err := freshManual(r)
	if err == nil {
		err = byItself(r)
	}
	if err != nil {
		h.refuseText(w, r, err)
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // or the request ends with the server's own time-out
	_ = control.SetWriteDeadline(time.Now().Add(freshWithin))
	ctx, cancel := context.WithTimeout(h.untilStopped(r.Context()), freshWithin)
	defer cancel()
	op, data, err := h.takeFresh(ctx, m)
	if op.ID != "" {
		w.Header().Set(HeaderOperation, op.ID)
	}
	if err != nil {
		h.refuseText(w, r, err)
		return
	}
	kind := m.Kinds[0]
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", string(kind)+"-"+op.ID+kind.Extension()))
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // the caller went away
}

// takeFresh asks for the captures, waits for their end and returns the one profile that
// they give.
func (h handlers) takeFresh(ctx context.Context, m gopprof.Manual) (op gopprof.Operation, data []byte, err error) {
	if err := h.Captures.SeesWhatItTakes(ctx, m); err != nil {
		return op, nil, err
	}
	op, cancel, err := h.Captures.Capture(ctx, m)
	if err != nil {
		return op, nil, err
	}
	err = h.Captures.Follow(ctx, op.ID, func(now gopprof.Operation) bool { op = now; return true })
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && !op.Ended() {
		err = &gopprof.Error{Reason: gopprof.ReasonNoAnswer, Detail: "the operation was not seen to its end"}
	}
	if err != nil {
		h.cancelLeft(ctx, op.ID, cancel)
		return op, nil, err
	}
	if m.Group() {
		data, err = h.Captures.MergedProfile(ctx, op.ID, m.Kinds[0])
		return op, data, err
	}
	data, err = h.captured(ctx, op.Captures[0], m.Kinds[0])
	return op, data, err
}

// captured returns the profile of one capture that has ended.
func (h handlers) captured(ctx context.Context, oc gopprof.OperationCapture, k gopprof.Kind) ([]byte, error) {
	if oc.State != gopprof.CaptureStored {
		return nil, &gopprof.Error{Reason: oc.Reason, Detail: oc.Detail}
	}
	report, err := h.Reports.Report(ctx, oc.Report)
	if err != nil {
		return nil, err
	}
	if f, ok := report.File(k); ok {
		return h.Reports.Read(ctx, f.Profile)
	}
	for _, f := range report.Capture.Failures {
		if f.Kind == k {
			return nil, &gopprof.Error{Reason: f.Reason, Detail: f.Detail}
		}
	}
	return nil, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "its report holds no such profile"}
}

// cancelLeft stops what nobody waits for any more.
func (h handlers) cancelLeft(ctx context.Context, id string, cancel func(context.Context) error) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), cancelWithin)
	defer done()
	if err := cancel(ctx); err != nil {
		h.Log.Warn("operation not cancelled though nobody waits for it", zap.String("operation", id), zap.Error(err))
	}
}

// byItself refuses a request that another site's page makes, as an image for instance: it
// is a GET, and profiles somebody all the same. Tools do not send the header.
func byItself(r *http.Request) error {
	if r.Method != http.MethodGet {
		return &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: "a profile is taken by GET only"}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return &gopprof.Error{Reason: gopprof.ReasonForbidden, Detail: "a profile must not be taken by another site's page"}
	}
	return nil
}

// freshManual reads what a request for a fresh profile asks for.
func freshManual(r *http.Request) (gopprof.Manual, error) {
	bad := func(format string, args ...any) (gopprof.Manual, error) {
		return gopprof.Manual{}, &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: fmt.Sprintf(format, args...)}
	}
	q, page := r.URL.Query(), r.PathValue("page")
	kind, ok := pages[page]
	if !ok {
		return bad("%.40q is no profile: %s", page, names(pages))
	}
	m := gopprof.Manual{Namespace: r.PathValue("namespace"), Cluster: q.Get("cluster"), Container: q.Get("container"), Kinds: []gopprof.Kind{kind}}
	switch resource, name := r.PathValue("resource"), r.PathValue("name"); {
	case resource == "pods":
		m.Pod = name
	case workloadKinds[resource] != "":
		m.Workload, m.Merge, m.Wave = gopprof.Workload{Kind: workloadKinds[resource], Name: name}, true, true
		if kind == gopprof.KindTrace {
			return bad("traces cannot be merged: ask for one pod's")
		}
	default:
		return bad("%.40q have no profiles: pods, %s", resource, names(workloadKinds))
	}
	if err := checkFreshQuery(q, kind); err != nil {
		return m, err
	}
	if s := q.Get("seconds"); s != "" {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil || !(seconds > 0) {
			return bad("seconds=%.40q: not a number above 0", s)
		}
		m.CPUSeconds = seconds
	}
	return m, nil
}

// checkFreshQuery refuses what net/http/pprof would take and a target must be spared, and
// what it would not know either.
func checkFreshQuery(q url.Values, kind gopprof.Kind) error {
	bad := func(format string, args ...any) error {
		return &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: fmt.Sprintf(format, args...)}
	}
	for key := range q {
		switch key {
		case "seconds", "container", "cluster", "debug", "gc":
		default:
			return bad("unknown parameter %.40q: seconds, container, cluster", key)
		}
	}
	switch {
	case q.Get("debug") != "" && q.Get("debug") != "0":
		return bad("debug=%.10q: profiles are served in pprof's own format only; go tool pprof reads it", q.Get("debug"))
	case q.Get("gc") != "" && q.Get("gc") != "0":
		return bad("gc: a collection of garbage is never forced on a target")
	case q.Get("seconds") != "" && !kind.Timed():
		return bad("seconds: a %s profile is of one moment; take two and compare them by go tool pprof -base", kind)
	}
	return nil
}

func names[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// refuseText answers as net/http/pprof does, in words, unless the caller reads JSON.
func (h handlers) refuseText(w http.ResponseWriter, r *http.Request, err error) {
	if strings.Contains(r.Header.Get("Accept"), "json") {
		h.refuse(w, r, "taking a profile", err)
		return
	}
	p := h.refusal(w, r, "taking a profile", err)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set(headerPprof, "1")
	w.WriteHeader(p.Status)
	_, _ = fmt.Fprintf(w, "%s\n", strings.TrimPrefix(string(p.Reason)+": "+p.Detail, ": "))
}

// freshPath is the path of fresh profiles for the mux.
const freshPath = api.PathNamespaces + "/{namespace}/{resource}/{name}/debug/pprof/{page}"
