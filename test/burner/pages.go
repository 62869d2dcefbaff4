package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
)

// How the pages of pprof may answer.
const (
	answerWell  = "well"
	answerError = "error" // status 500
	answerNever = "never" // until whoever asks gives up
)

// pages is how the pages of pprof answer. The zero value answers well.
type pages struct{ how atomic.Pointer[string] }

// of wraps a page.
func (p *pages) of(page http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch how := p.how.Load(); {
		case how == nil || *how == answerWell:
			page(w, r)
		case *how == answerError:
			http.Error(w, "told to fail", http.StatusInternalServerError)
		default:
			<-r.Context().Done()
		}
	}
}

func (p *pages) change(w http.ResponseWriter, r *http.Request) {
	how := r.FormValue("pprof")
	if how != answerWell && how != answerError && how != answerNever {
		http.Error(w, fmt.Sprintf("pprof must be %s, %s or %s", answerWell, answerError, answerNever), http.StatusBadRequest)
		return
	}
	p.how.Store(&how)
}
