package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gopprof/gopprof/test/burner/catalog"
	"github.com/gopprof/gopprof/test/burner/front"
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

	mu     sync.Mutex // guards stands
	stands *stands    // nil until somebody needs them: they take memory
}

// state is what the shop does now.
type state struct {
	PID       int     `json:"pid"`
	Cores     float64 `json:"cores"`
	Mebibytes int     `json:"mb"`
	Clerks    int     `json:"clerks"`
	Rate      float64 `json:"rate"`                // ordinary visitors per second
	LoadCores float64 `json:"loadCores,omitempty"` // with ordinary visitors
	Fault     string  `json:"fault,omitempty"`     // that was planted
	Level     float64 `json:"level,omitempty"`
}

func newShop(base float64) *shop {
	s := &shop{base: base}
	s.pricing.Use(base)
	return s
}

// open returns the stands, which are set up when they are asked for first.
func (s *shop) open() (*stands, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stands != nil {
		return s.stands, nil
	}
	var err error
	s.stands, err = newStands()
	return s.stands, err
}

// serve lets so many ordinary visitors in.
func (s *shop) serve(l front.Load) error {
	stands, err := s.open()
	if err != nil {
		return err
	}
	stands.door.Open(l)
	return nil
}

func (s *shop) close() {
	s.mu.Lock()
	if s.stands != nil {
		s.stands.close()
	}
	s.mu.Unlock()
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
	mux.HandleFunc("POST /load", s.load)
	mux.HandleFunc("POST /fault", s.plant)
	mux.HandleFunc("GET /state", s.tell)
	mux.Handle("GET /metrics", s.metrics())
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

func (s *shop) load(w http.ResponseWriter, r *http.Request) {
	var l front.Load
	var err error
	if text := r.FormValue("cores"); text != "" {
		l.Cores, err = strconv.ParseFloat(text, 64)
	} else {
		l.Rate, err = strconv.ParseFloat(r.FormValue("rate"), 64)
	}
	if err != nil || !(l.Rate >= 0 && l.Rate <= front.MaxRate && l.Cores >= 0 && l.Cores <= maxCores) {
		http.Error(w, fmt.Sprintf("rate must be a number from 0 to %d, or cores one from 0 to %d", front.MaxRate, maxCores), http.StatusBadRequest)
		return
	}
	if err := s.serve(l); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.tell(w, r)
}

// growth is how long it takes what grows to get as large as it shall, if nobody says.
const growth = 20 * time.Second

func (s *shop) plant(w http.ResponseWriter, r *http.Request) {
	over, level := growth, 0.0
	var err error
	if text := r.FormValue("over"); text != "" {
		over, err = time.ParseDuration(text)
	}
	if text := r.FormValue("level"); text != "" && err == nil {
		level, err = strconv.ParseFloat(text, 64)
	}
	if err == nil {
		err = s.plantOne(r.FormValue("name"), level, over)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.tell(w, r)
}

func (s *shop) plantOne(name string, level float64, over time.Duration) error {
	stands, err := s.open()
	if err != nil {
		return err
	}
	return stands.plant(name, level, over)
}

// metrics shows how many visitors the shop has served.
func (s *shop) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Visitors that were answered.",
	}, func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.stands == nil {
			return 0
		}
		return float64(s.stands.door.Served())
	}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

func (s *shop) tell(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	now := state{PID: os.Getpid(), Cores: s.pricing.Cores(), Mebibytes: s.catalog.Mebibytes(), Clerks: s.orders.Clerks()}
	s.mu.Lock()
	if s.stands != nil {
		load := s.stands.door.Load()
		now.Rate, now.LoadCores = load.Rate, load.Cores
		now.Fault, now.Level = s.stands.planted()
	}
	s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(now)
}
