package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"

	"github.com/gopprof/gopprof/test/burner/catalog"
	"github.com/gopprof/gopprof/test/burner/orders"
	"github.com/gopprof/gopprof/test/burner/pricing"
)

// shop is the service.
type shop struct {
	base    float64 // cores
	pricing pricing.Engine
	catalog catalog.Cache
	orders  orders.Ledger
	pages   pages
}

// state is what the shop does now.
type state struct {
	PID       int     `json:"pid"`
	Cores     float64 `json:"cores"`
	Mebibytes int     `json:"mb"`
	Clerks    int     `json:"clerks"`
}

func newShop(base float64) *shop {
	s := &shop{base: base}
	s.pricing.Use(base)
	return s
}

func (s *shop) close() {
	s.pricing.Use(0)
	s.orders.Employ(0)
}

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /heat", s.heat)
	mux.HandleFunc("POST /cool", func(w http.ResponseWriter, r *http.Request) { s.pricing.Use(s.base); s.tell(w, r) })
	mux.HandleFunc("POST /grow", s.grow)
	mux.HandleFunc("POST /shrink", func(w http.ResponseWriter, r *http.Request) { s.catalog.Empty(); s.tell(w, r) })
	mux.HandleFunc("POST /contend", s.contend)
	mux.HandleFunc("GET /state", s.tell)
	mux.HandleFunc("POST /answer", s.pages.change)
	mux.HandleFunc("GET /debug/pprof/", s.pages.of(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/profile", s.pages.of(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/trace", s.pages.of(pprof.Trace))
	mux.HandleFunc("GET /debug/pprof/cmdline", s.pages.of(pprof.Cmdline))
	mux.HandleFunc("GET /debug/pprof/symbol", s.pages.of(pprof.Symbol))
	return mux
}

func (s *shop) heat(w http.ResponseWriter, r *http.Request) {
	cores, err := strconv.ParseFloat(r.FormValue("cores"), 64)
	if err != nil || !(cores >= 0 && cores <= pricing.MaxCores) {
		http.Error(w, fmt.Sprintf("cores must be a number from 0 to %d", pricing.MaxCores), http.StatusBadRequest)
		return
	}
	s.pricing.Use(cores)
	s.tell(w, r)
}

func (s *shop) grow(w http.ResponseWriter, r *http.Request) {
	mebibytes, err := strconv.Atoi(r.FormValue("mb"))
	if err == nil {
		err = s.catalog.Grow(mebibytes)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.tell(w, r)
}

func (s *shop) contend(w http.ResponseWriter, r *http.Request) {
	clerks, err := strconv.Atoi(r.FormValue("clerks"))
	if err != nil || clerks < 0 || clerks > orders.MaxClerks {
		http.Error(w, fmt.Sprintf("clerks must be a whole number from 0 to %d", orders.MaxClerks), http.StatusBadRequest)
		return
	}
	s.orders.Employ(clerks)
	s.tell(w, r)
}

func (s *shop) tell(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(state{
		PID: os.Getpid(), Cores: s.pricing.Cores(), Mebibytes: s.catalog.Mebibytes(), Clerks: s.orders.Clerks(),
	})
}
