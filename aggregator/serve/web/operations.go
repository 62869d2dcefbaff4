package web

import (
	"fmt"
	"net/http"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

type operationsPage struct {
	frame
	Operations []gopprof.Operation
}

type operationPage struct {
	frame
	gopprof.Operation
	MayCancel bool
}

type mergedPage struct {
	frame
	gopprof.Operation
	Kinds []api.MergedKind
}

// operations shows the newest captures by hand.
func (p *pages) operations(w http.ResponseWriter, r *http.Request) {
	all, err := p.Captures.Operations(r.Context())
	if err != nil {
		p.fail(w, r, "listing operations", err)
		return
	}
	p.show(w, r, http.StatusOK, "operations.html", operationsPage{p.frame(r, "Operations", "operations"), all})
}

// operation shows how far one has come, and goes on showing it.
func (p *pages) operation(w http.ResponseWriter, r *http.Request) {
	op, err := p.Captures.Operation(r.Context(), r.PathValue("id"))
	if err != nil {
		p.fail(w, r, "reading the operation", err)
		return
	}
	page := operationPage{frame: p.frame(r, "Operation", "operations"), Operation: op}
	if !op.Ended() {
		page.Live = api.PathEvents(op.ID)
		page.MayCancel, err = p.MayProfile(r.Context())(op.Cluster(), op.Asked.Namespace)
		if err != nil {
			p.fail(w, r, "asking what you may do", err)
			return
		}
	}
	w.Header().Set("Content-Security-Policy", livePolicy)
	p.show(w, r, http.StatusOK, "operation.html", page)
}

// cancel stops one, and shows it.
func (p *pages) cancel(w http.ResponseWriter, r *http.Request) {
	if _, err := p.Captures.Cancel(r.Context(), r.PathValue("id")); err != nil {
		p.fail(w, r, "cancelling the operation", err)
		return
	}
	seeOther(w, "../"+r.PathValue("id"))
}

// merged shows the pods of an operation as one, and who differs.
func (p *pages) merged(w http.ResponseWriter, r *http.Request) {
	op, err := p.Captures.Operation(r.Context(), r.PathValue("id"))
	if err != nil {
		p.fail(w, r, "reading the operation", err)
		return
	}
	m, err := p.Captures.Merged(r.Context(), op.ID)
	if err != nil {
		p.fail(w, r, "merging what was captured", err)
		return
	}
	p.show(w, r, http.StatusOK, "merged.html", mergedPage{p.frame(r, "Merged profiles", "operations"), op, m.Kinds})
}

// seeOther leads to an address relative to the request's.
func seeOther(w http.ResponseWriter, address string) {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}

// progress counts the captures of an operation that have ended, and those that were stored.
func progress(op gopprof.Operation) (ended, stored int) {
	for _, c := range op.Captures {
		if c.Ended() {
			ended++
		}
		if c.State == gopprof.CaptureStored {
			stored++
		}
	}
	return ended, stored
}

// wanted says in one line what an operation was asked for.
func wanted(m gopprof.Manual) string {
	what := "pod " + m.Pod
	switch {
	case m.Workload.Name != "":
		what = m.Workload.String()
	case m.Selector != "":
		what = "pods with " + m.Selector
	}
	if m.Namespace != "" {
		what = m.Namespace + ": " + what
	}
	return what
}

// outcomeOf says in a few words how far an operation has come.
func outcomeOf(op gopprof.Operation) string {
	ended, stored := progress(op)
	switch {
	case ended < len(op.Captures) && !op.Cancelled.IsZero():
		return "being stopped"
	case ended < len(op.Captures):
		return "running"
	case !op.Cancelled.IsZero():
		return fmt.Sprintf("stopped, %d of %d stored", stored, len(op.Captures))
	case stored < len(op.Captures):
		return fmt.Sprintf("ended, %d of %d stored", stored, len(op.Captures))
	}
	return "done"
}
