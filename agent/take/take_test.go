package take

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

func TestTakesTheKindsInTheirOrderFromARealServer(t *testing.T) {
	s := serve(t, realPprof())
	tk := newTaker(testConfig(), Deps{Version: "v1"})
	kinds := []gopprof.Kind{gopprof.KindHeap, gopprof.KindGoroutine, gopprof.KindCPU, gopprof.KindAllocs,
		gopprof.KindMutex, gopprof.KindBlock, gopprof.KindThreadcreate, gopprof.KindHeap}
	c, err := tk.Take(t.Context(), byHand(id1, s.target(t, "a"), kinds...))
	if err != nil {
		t.Fatal(err)
	}
	// No gc, no debug, no cmdline: the whole request is compared.
	want := []string{"/debug/pprof/heap", "/debug/pprof/goroutine", "/debug/pprof/profile?seconds=1", "/debug/pprof/allocs",
		"/debug/pprof/mutex", "/debug/pprof/block", "/debug/pprof/threadcreate"}
	if got := s.asked(); !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
	if len(c.Failures) != 0 || len(c.Profiles) != 7 || c.ID != id1 || c.Agent != "v1" {
		t.Errorf("capture %+v", c)
	}
	for i, p := range c.Profiles {
		if p.Kind != kinds[i] {
			t.Errorf("profile %d is %s, want %s", i, p.Kind, kinds[i])
		}
		wantSound(t, p)
	}
	if d := c.End.Sub(c.Start); d < time.Second || c.Start.Location() != time.UTC {
		t.Errorf("took %v from %v, want at least the CPU profile's second, in UTC", d, c.Start)
	}
}

func wantSound(t *testing.T, p gopprof.Profile) {
	t.Helper()
	sum := sha256.Sum256(p.Bytes)
	if p.SHA256 != hex.EncodeToString(sum[:]) || p.SizeBytes != int64(len(p.Bytes)) {
		t.Errorf("%s: size or sha256 are not those of the bytes", p.Kind)
	}
	if _, err := profile.Parse(p.Bytes, profile.DefaultLimits()); err != nil {
		t.Errorf("%s: %v", p.Kind, err)
	}
	if timed := p.Seconds != 0; timed != p.Kind.Timed() {
		t.Errorf("%s: %v seconds", p.Kind, p.Seconds)
	}
}

// net/http/pprof reads "1.5" as a mistake and then profiles for 30 seconds.
func TestSecondsAreWhole(t *testing.T) {
	s := serve(t, http.NotFound)
	o := byHand(id1, s.target(t, "a"), gopprof.KindCPU)
	o.CPUSeconds = 1500 * time.Millisecond
	_, err := newTaker(testConfig(), Deps{}).Take(t.Context(), o)
	wantReason(t, err, gopprof.ReasonStatus)
	if got := s.asked(); !slices.Equal(got, []string{"/debug/pprof/profile?seconds=2"}) {
		t.Errorf("asked for %q", got)
	}
}

func TestTraceByHandOnly(t *testing.T) {
	s := serve(t, realPprof())
	tk := newTaker(testConfig(), Deps{})
	o := byHand(id1, s.target(t, "a"), gopprof.KindTrace, gopprof.KindHeap)
	c, err := tk.Take(t.Context(), o)
	if err != nil || len(c.Profiles) != 2 {
		t.Fatalf("by hand: %+v, %v", c.Failures, err)
	}
	o.Trigger.Kind = gopprof.TriggerRule
	c, err = tk.Take(t.Context(), o)
	if err != nil || len(c.Profiles) != 1 {
		t.Fatalf("by rule: %+v, %v", c, err)
	}
	wantFailure(t, c, gopprof.KindTrace, gopprof.ReasonForbidden)
	if got := s.asked(); !slices.Equal(got, []string{"/debug/pprof/trace?seconds=1", "/debug/pprof/heap", "/debug/pprof/heap"}) {
		t.Errorf("asked for %q", got)
	}
}

type meter struct {
	values []float64
	errs   []error
	n      int
}

func (m *meter) CPUSeconds(context.Context, gopprof.Target) (float64, error) {
	m.n++
	return m.values[m.n-1], m.errs[m.n-1]
}

func TestCPUSecondsAroundTheCPUProfile(t *testing.T) {
	gone := errors.New("gone")
	tests := map[string]struct {
		meter meter
		want  float64
	}{
		"used":          {meter{values: []float64{10, 10.75}, errs: []error{nil, nil}}, 0.75},
		"not at first":  {meter{values: []float64{0, 10}, errs: []error{gone, nil}}, 0},
		"not at last":   {meter{values: []float64{10, 0}, errs: []error{nil, gone}}, 0},
		"went backward": {meter{values: []float64{10, 1}, errs: []error{nil, nil}}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, realPprof())
			c, err := newTaker(testConfig(), Deps{Meter: &tt.meter}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap, gopprof.KindCPU))
			if err != nil || c.CPUSeconds != tt.want || tt.meter.n != 2 {
				t.Errorf("CPU seconds %v after %d readings, %v, want %v after 2", c.CPUSeconds, tt.meter.n, err, tt.want)
			}
		})
	}
}

func TestOrdersThatMakeNoSense(t *testing.T) {
	now := time.Now()
	good := byHand(id1, gopprof.Target{Endpoint: gopprof.Endpoint{Scheme: "ftp"}}, gopprof.KindHeap)
	tests := map[string]struct {
		change func(*Order)
		want   gopprof.Reason
	}{
		"no ID":           {func(o *Order) { o.Capture = "" }, gopprof.ReasonBadInput},
		"no kind":         {func(o *Order) { o.Kinds = nil }, gopprof.ReasonBadInput},
		"unknown kind":    {func(o *Order) { o.Kinds = []gopprof.Kind{"heap", "cmdline"} }, gopprof.ReasonBadInput},
		"too long":        {func(o *Order) { o.CPUSeconds = time.Hour }, gopprof.ReasonBadInput},
		"negative":        {func(o *Order) { o.CPUSeconds = -time.Second }, gopprof.ReasonBadInput},
		"too late":        {func(o *Order) { o.Deadline = now }, gopprof.ReasonExpired},
		"in time":         {func(o *Order) { o.Deadline = now.Add(1) }, gopprof.ReasonInvalidEndpoint},
		"without change":  {func(*Order) {}, gopprof.ReasonInvalidEndpoint},
		"longest allowed": {func(o *Order) { o.CPUSeconds = time.Minute }, gopprof.ReasonInvalidEndpoint},
	}
	tk := newTaker(testConfig(), Deps{Now: func() time.Time { return now }})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := good
			tt.change(&o)
			_, err := tk.Take(t.Context(), o)
			wantReason(t, err, tt.want)
			if tk.Busy(o.Target.Key()) {
				t.Error("the refused order holds the target's gate")
			}
		})
	}
}

func TestStartAnswersAtOnceAndWaitsLater(t *testing.T) {
	s := serve(t, realPprof())
	tk := newTaker(testConfig(), Deps{})
	if _, err := tk.Start(t.Context(), Order{}); gopprof.ReasonOf(err) != gopprof.ReasonBadInput {
		t.Errorf("an empty order: %v, want bad_input", err)
	}
	wait, err := tk.Start(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if c, err := wait(); err != nil || len(c.Profiles) != 1 {
			t.Errorf("waited for %+v, %v", c, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := serve(t, realPprof())
	tk := newTaker(testConfig(), Deps{})
	target := s.target(t, "a")
	if _, err := tk.Take(t.Context(), byHand(id1, target, gopprof.KindHeap)); err != nil {
		t.Fatal(err)
	}
	target.Endpoint.Path = "/nowhere"
	_, err := tk.Take(t.Context(), byHand(id2, target, gopprof.KindHeap))
	wantReason(t, err, gopprof.ReasonStatus)
	for name, got := range map[string]float64{
		"captures":        counted(t, tk.metrics.captures.WithLabelValues("")),
		"failed captures": counted(t, tk.metrics.captures.WithLabelValues("status")),
		"profiles":        counted(t, tk.metrics.profiles.WithLabelValues("heap", "")),
		"failed profiles": counted(t, tk.metrics.profiles.WithLabelValues("heap", "status")),
	} {
		if got != 1 {
			t.Errorf("%s: %v, want 1", name, got)
		}
	}
	if got := counted(t, tk.metrics.running); got != 0 {
		t.Errorf("%v running, want 0", got)
	}
}

// A deadline that came in a message is waited for by the clock that never jumps: a wall clock
// that is set back by an hour keeps no capture waiting that much longer. Such a clock cannot be
// set here; what is asked is whether the moment knows it.
func TestDeadlineIsByTheClockThatNeverJumps(t *testing.T) {
	tk := newTaker(testConfig(), Deps{})
	o := byHand(id1, gopprof.Target{Namespace: "shop", Pod: "a"}, gopprof.KindHeap)
	o.Deadline = time.Now().Add(time.Minute).Round(0)
	j, err := tk.begin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.end()
	if at := j.order.Deadline; at == at.Round(0) || !at.Equal(o.Deadline) {
		t.Errorf("waits until %s, asked until %s", at, o.Deadline)
	}
}
