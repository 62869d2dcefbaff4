package accept

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
)

const (
	id1 = "01938f00-0000-7000-8000-000000000001"
	id2 = "01938f00-0000-7000-8000-000000000002"
	op  = "01938f00-0000-7000-8000-00000000000f"
)

// taker ends a capture when it is told to, or when it is cancelled, as the real one does.
type taker struct {
	mu     sync.Mutex
	orders []gopprof.Order
	refuse error         // of Start
	fail   error         // of the capture
	finish chan struct{} // closed: captures end by themselves
	cancel map[string]context.CancelFunc
	left   map[string]time.Duration // of running captures
}

func newTaker() *taker {
	return &taker{finish: make(chan struct{}), cancel: make(map[string]context.CancelFunc)}
}

func (f *taker) Start(ctx context.Context, o gopprof.Order) (func() (gopprof.Capture, error), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	f.orders = append(f.orders, o)
	ctx, f.cancel[o.Capture] = context.WithCancel(ctx)
	return func() (gopprof.Capture, error) {
		c := gopprof.Capture{ID: o.Capture, Profiles: []gopprof.Profile{{Kind: gopprof.KindHeap}}}
		select {
		case <-f.finish:
		case <-ctx.Done():
			c.Failures = []gopprof.Failure{{Kind: gopprof.KindCPU, Reason: gopprof.ReasonCancelled}}
		}
		return c, f.fail
	}, nil
}

func (f *taker) Cancel(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	cancel := f.cancel[id]
	if cancel != nil {
		cancel()
	}
	return cancel != nil
}

func (f *taker) Pause(paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse = nil; paused {
		f.refuse = &gopprof.Error{Reason: gopprof.ReasonPaused}
		for _, cancel := range f.cancel {
			cancel()
		}
	}
}

func (f *taker) Paused() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return gopprof.ReasonOf(f.refuse) == gopprof.ReasonPaused
}

func (f *taker) Left(id string) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left, running := f.left[id]
	return left, running
}

type publisher struct {
	mu  sync.Mutex
	got []gopprof.Capture
	err error
}

func (p *publisher) Publish(ctx context.Context, c gopprof.Capture) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, c)
	return errors.Join(p.err, ctx.Err())
}

func (p *publisher) Has(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.got, func(c gopprof.Capture) bool { return c.ID == id })
}

var cart = gopprof.Target{Cluster: "c", Node: "n", Namespace: "shop", Pod: "cart-0", PodUID: "u1", Container: "app"}

func listed(targets ...gopprof.Target) Targets {
	return func() ([]gopprof.Target, []gopprof.Refusal) { return targets, nil }
}

func request(id string) gopprof.CaptureRequest {
	return gopprof.CaptureRequest{
		Capture: id, Incident: id2, Kind: gopprof.TriggerManual, Request: gopprof.Request{Who: "ann", Operation: op},
		Namespace: "shop", Pod: "cart-0", Kinds: []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap}, CPUSeconds: 2.5,
	}
}

// start runs an Acceptor; in a synctest bubble.
func start(t *testing.T, f *taker, targets Targets, p *publisher) (a *Acceptor, stop func()) {
	t.Helper()
	a = New(f, targets, p, zap.NewNop(), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, ctx) }()
	synctest.Wait()
	return a, func() {
		cancel()
		if err := errors.Join(<-done, a.Drain(context.WithoutCancel(ctx))); err != nil {
			t.Error(err)
		}
	}
}

func wantReply(t *testing.T, got gopprof.CaptureReply, want gopprof.Reason) {
	t.Helper()
	if got.Reason != want || got.Accepted != (want == "") {
		t.Errorf("reply %+v, want reason %q", got, want)
	}
}

func TestAcceptedTakenPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newTaker(), &publisher{}
		a, stop := start(t, f, listed(cart), p)
		defer stop()
		r := request(id1)
		r.Deadline = time.Now().Add(time.Minute)
		wantReply(t, a.Capture(t.Context(), r), "")
		want := gopprof.Order{
			Capture: id1, Incident: id2, Target: cart, Kinds: r.Kinds, CPUSeconds: 2500 * time.Millisecond, Deadline: r.Deadline,
			Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, At: time.Now().UTC(), Request: &r.Request},
		}
		if !reflect.DeepEqual(f.orders, []gopprof.Order{want}) {
			t.Errorf("ordered %+v, want %+v", f.orders, want)
		}
		if len(p.got) != 0 {
			t.Error("published before it was taken")
		}
		close(f.finish)
		synctest.Wait()
		if len(p.got) != 1 || p.got[0].ID != id1 {
			t.Errorf("published %+v", p.got)
		}
		if n := testutil.ToFloat64(a.metrics.requests.WithLabelValues("capture", "")); n != 1 {
			t.Errorf("%v counted as accepted, want 1", n)
		}
	})
}

// NATS answers may be lost: the aggregator asks again under the same ID.
func TestRepeatedRequestStartsNothingTwice(t *testing.T) {
	tests := map[string]struct {
		fail, publish error
		want          gopprof.Reason // in the end
	}{
		"published":     {nil, nil, ""},
		"not taken":     {&gopprof.Error{Reason: gopprof.ReasonContended}, nil, gopprof.ReasonContended},
		"not published": {nil, &gopprof.Error{Reason: gopprof.ReasonSpoolFailed}, gopprof.ReasonSpoolFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTaker()
				f.fail = tt.fail
				a, stop := start(t, f, listed(cart), &publisher{err: tt.publish})
				defer stop()
				for range 2 {
					wantReply(t, a.Capture(t.Context(), request(id1)), "")
				}
				close(f.finish)
				synctest.Wait()
				wantReply(t, a.Capture(t.Context(), request(id1)), tt.want)
				if len(f.orders) != 1 {
					t.Errorf("%d orders, want 1", len(f.orders))
				}
			})
		})
	}
}

// Asking again tells what became of the first request, also when its deadline, before which
// the work had to start, has passed meanwhile.
func TestRepeatedRequestIsAnsweredAfterItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTaker()
		a, stop := start(t, f, listed(cart), &publisher{})
		defer stop()
		r := request(id1)
		r.Deadline = time.Now().Add(time.Minute)
		wantReply(t, a.Capture(t.Context(), r), "")
		time.Sleep(2 * time.Minute)
		wantReply(t, a.Capture(t.Context(), r), "")
		close(f.finish)
		synctest.Wait()
		if got := a.Capture(t.Context(), r); !got.Accepted || got.Detail != "done" {
			t.Errorf("reply %+v, want done", got)
		}
	})
}

// What an earlier agent took and left in the spool is done, and not taken once more.
func TestWhatAnEarlierAgentTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTaker()
		a, stop := start(t, f, listed(cart), &publisher{got: []gopprof.Capture{{ID: id1}}})
		defer stop()
		for _, got := range []gopprof.CaptureReply{a.Capture(t.Context(), request(id1)), a.Status(t.Context(), gopprof.StatusRequest{Capture: id1})} {
			if !got.Done {
				t.Errorf("reply %+v, want done", got)
			}
		}
		if len(f.cancel) != 0 {
			t.Errorf("it was taken once more")
		}
	})
}

// Status tells how far a capture is, without starting anything.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTaker()
		a, stop := start(t, f, listed(cart), &publisher{})
		defer stop()
		ask := func() gopprof.CaptureReply { return a.Status(t.Context(), gopprof.StatusRequest{Capture: id1}) }
		wantReply(t, ask(), gopprof.ReasonUnknown)
		wantReply(t, a.Capture(t.Context(), request(id1)), "")
		f.left = map[string]time.Duration{id1: 2500 * time.Millisecond}
		if got := ask(); !got.Accepted || got.SecondsLeft != 2.5 || got.Done {
			t.Errorf("while it is taken: %+v", got)
		}
		f.left = nil
		if got := ask(); !got.Accepted || got.Done {
			t.Errorf("while it is published: %+v", got)
		}
		close(f.finish)
		synctest.Wait()
		if got := ask(); !got.Accepted || !got.Done {
			t.Errorf("at its end: %+v", got)
		}
		if len(f.orders) != 1 {
			t.Errorf("%d orders, want 1", len(f.orders))
		}
	})
}

// A pause ends what runs and lets nothing start, until it is lifted.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newTaker(), &publisher{}
		a, stop := start(t, f, listed(cart), p)
		defer stop()
		wantReply(t, a.Capture(t.Context(), request(id1)), "")
		wantReply(t, a.Pause(t.Context(), gopprof.PauseRequest{ID: id2, Paused: true}), "")
		synctest.Wait()
		if len(p.got) != 1 || len(p.got[0].Failures) != 1 || p.got[0].Failures[0].Reason != gopprof.ReasonCancelled {
			t.Errorf("what ran was not cancelled: %+v", p.got)
		}
		wantReply(t, a.Capture(t.Context(), request(id2)), gopprof.ReasonPaused)
		if !a.Paused() || len(f.orders) != 1 {
			t.Errorf("paused: %v; %d orders, want 1", a.Paused(), len(f.orders))
		}
		wantReply(t, a.Pause(t.Context(), gopprof.PauseRequest{ID: id2}), "")
		wantReply(t, a.Capture(t.Context(), request(id2)), "")
	})
}

// A failure without a name is a defect of ours, and not a target that nobody knows.
func TestFailureWithoutANameIsInternal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTaker()
		f.refuse = errors.New("?")
		a, stop := start(t, f, listed(cart), &publisher{})
		defer stop()
		wantReply(t, a.Capture(t.Context(), request(id1)), gopprof.ReasonInternal)
	})
}

func TestTakersRefusalIsTheAnswerAndMayBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTaker()
		f.refuse = &gopprof.Error{Reason: gopprof.ReasonCapturing, Detail: "by capture x"}
		a, stop := start(t, f, listed(cart), &publisher{})
		defer stop()
		got := a.Capture(t.Context(), request(id1))
		wantReply(t, got, gopprof.ReasonCapturing)
		if got.Detail != "by capture x" {
			t.Errorf("detail %q", got.Detail)
		}
		f.refuse = nil
		wantReply(t, a.Capture(t.Context(), request(id1)), "")
	})
}

func TestStopKeepsWhatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newTaker(), &publisher{}
		a := New(f, listed(cart), p, zap.NewNop(), prometheus.NewRegistry())
		wantReply(t, a.Capture(t.Context(), request(id1)), gopprof.ReasonCancelled) // not running yet
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		captures, end := context.WithCancel(t.Context())
		go func() { done <- a.Run(ctx, captures) }()
		synctest.Wait()
		wantReply(t, a.Capture(t.Context(), request(id1)), "")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		wantReply(t, a.Capture(t.Context(), request(id2)), gopprof.ReasonCancelled)
		soon, done2 := context.WithTimeout(t.Context(), time.Millisecond)
		defer done2()
		if err := a.Drain(soon); err == nil || len(p.got) != 0 {
			t.Errorf("the capture did not go on: %v, published %+v", err, p.got)
		}
		end()
		if err := a.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if len(p.got) != 1 || len(p.got[0].Profiles) != 1 || len(p.got[0].Failures) != 1 {
			t.Errorf("published %+v after the end", p.got)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newTaker(), &publisher{}
		a, stop := start(t, f, listed(cart), p)
		defer stop()
		wantReply(t, a.Cancel(t.Context(), gopprof.CancelRequest{Capture: id1}), gopprof.ReasonUnknown)
		wantReply(t, a.Capture(t.Context(), request(id1)), "")
		wantReply(t, a.Cancel(t.Context(), gopprof.CancelRequest{Capture: id1}), "")
		synctest.Wait()
		if len(p.got) != 1 || len(p.got[0].Failures) != 1 {
			t.Errorf("published %+v, want what was taken before", p.got)
		}
	})
}

// What an alert asks for is taken as what a person asks for, and says which alert it was.
func TestAlertIsCarriedIntoTheCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newTaker(), &publisher{}
		a, stop := start(t, f, listed(cart), p)
		defer stop()
		r := request(id1)
		r.Kind, r.Alert = gopprof.TriggerAlert, &gopprof.Alert{Name: "CartIsHot", Fingerprint: "b3d2"}
		if reply := a.Capture(t.Context(), r); !reply.Accepted {
			t.Fatalf("%+v", reply)
		}
		got := f.orders[0].Trigger
		if got.Kind != gopprof.TriggerAlert || got.Alert == nil || got.Alert.Name != "CartIsHot" || got.Request.Operation != op {
			t.Errorf("trigger %+v", got)
		}
		close(f.finish)
	})
}

func TestWhichTargetIsMeant(t *testing.T) {
	sidecar, other, recreated := cart, cart, cart
	sidecar.Container = "proxy"
	other.Namespace = "test"
	recreated.PodUID = "u2"
	dying := cart
	dying.Pod = "cart-1"
	refused := []gopprof.Refusal{{Target: dying, Reason: gopprof.ReasonTerminating, Detail: "since a minute"}}
	tests := map[string]struct {
		targets []gopprof.Target
		change  func(*gopprof.CaptureRequest)
		want    gopprof.Reason
		found   gopprof.Target
	}{
		"the only one":           {[]gopprof.Target{other, cart}, func(*gopprof.CaptureRequest) {}, "", cart},
		"by container":           {[]gopprof.Target{cart, sidecar}, func(r *gopprof.CaptureRequest) { r.Container = "proxy" }, "", sidecar},
		"by UID":                 {[]gopprof.Target{cart, recreated}, func(r *gopprof.CaptureRequest) { r.PodUID = "u2" }, "", recreated},
		"several":                {[]gopprof.Target{cart, sidecar}, func(*gopprof.CaptureRequest) {}, gopprof.ReasonBadInput, gopprof.Target{}},
		"recreated":              {[]gopprof.Target{recreated}, func(r *gopprof.CaptureRequest) { r.PodUID = "u1" }, gopprof.ReasonGone, gopprof.Target{}},
		"none":                   {nil, func(*gopprof.CaptureRequest) {}, gopprof.ReasonUnknown, gopprof.Target{}},
		"no such container":      {[]gopprof.Target{cart}, func(r *gopprof.CaptureRequest) { r.Container = "x" }, gopprof.ReasonUnknown, gopprof.Target{}},
		"refused by discover":    {[]gopprof.Target{cart}, func(r *gopprof.CaptureRequest) { r.Pod = "cart-1" }, gopprof.ReasonTerminating, gopprof.Target{}},
		"nothing named":          {[]gopprof.Target{cart}, func(r *gopprof.CaptureRequest) { r.Namespace, r.Pod = "", "" }, gopprof.ReasonUnknown, gopprof.Target{}},
		"a namespace of another": {[]gopprof.Target{cart}, func(r *gopprof.CaptureRequest) { r.Namespace = "test" }, gopprof.ReasonUnknown, gopprof.Target{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := request(id1)
			tt.change(&r)
			before := slices.Clone(tt.targets)
			got, err := find(func() ([]gopprof.Target, []gopprof.Refusal) { return tt.targets, refused }, r)
			if gopprof.ReasonOf(err) != tt.want || got != tt.found {
				t.Errorf("found %+v, %v, want %+v, reason %q", got, err, tt.found, tt.want)
			}
			if !slices.Equal(tt.targets, before) {
				t.Error("discover's list was changed")
			}
		})
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	now := time.Now()
	tests := map[string]struct {
		change func(*gopprof.CaptureRequest)
		want   gopprof.Reason
	}{
		"without change":      {func(*gopprof.CaptureRequest) {}, ""},
		"no incident":         {func(r *gopprof.CaptureRequest) { r.Incident, r.Request = "", gopprof.Request{} }, ""},
		"in time":             {func(r *gopprof.CaptureRequest) { r.Deadline = now.Add(1) }, ""},
		"no ID":               {func(r *gopprof.CaptureRequest) { r.Capture = "" }, gopprof.ReasonBadInput},
		"path as ID":          {func(r *gopprof.CaptureRequest) { r.Capture = "../x" }, gopprof.ReasonBadInput},
		"bad incident":        {func(r *gopprof.CaptureRequest) { r.Incident = "x" }, gopprof.ReasonBadInput},
		"bad operation":       {func(r *gopprof.CaptureRequest) { r.Request.Operation = "x" }, gopprof.ReasonBadInput},
		"long name":           {func(r *gopprof.CaptureRequest) { r.Request.Who = strings.Repeat("x", 1<<20) }, gopprof.ReasonBadInput},
		"as a rule":           {func(r *gopprof.CaptureRequest) { r.Kind = gopprof.TriggerRule }, gopprof.ReasonBadInput},
		"as something":        {func(r *gopprof.CaptureRequest) { r.Kind = gopprof.TriggerKind(strings.Repeat("x", 1<<20)) }, gopprof.ReasonBadInput},
		"for an alert":        {func(r *gopprof.CaptureRequest) { r.Kind, r.Alert = gopprof.TriggerAlert, &gopprof.Alert{} }, ""},
		"by hand, an alert":   {func(r *gopprof.CaptureRequest) { r.Alert = &gopprof.Alert{} }, gopprof.ReasonBadInput},
		"no kinds":            {func(r *gopprof.CaptureRequest) { r.Kinds = nil }, gopprof.ReasonBadInput},
		"unknown kind":        {func(r *gopprof.CaptureRequest) { r.Kinds = []gopprof.Kind{"cmdline"} }, gopprof.ReasonBadInput},
		"a thousand kinds":    {func(r *gopprof.CaptureRequest) { r.Kinds = make([]gopprof.Kind, 1000) }, gopprof.ReasonBadInput},
		"negative seconds":    {func(r *gopprof.CaptureRequest) { r.CPUSeconds = -1 }, gopprof.ReasonBadInput},
		"no number":           {func(r *gopprof.CaptureRequest) { r.CPUSeconds = math.NaN() }, gopprof.ReasonBadInput},
		"overflowing seconds": {func(r *gopprof.CaptureRequest) { r.CPUSeconds = math.Inf(1) }, gopprof.ReasonBadInput},
		"too late":            {func(r *gopprof.CaptureRequest) { r.Deadline = now }, gopprof.ReasonExpired},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := request(id1)
			tt.change(&r)
			err := check(r, now)
			if got := gopprof.ReasonOf(err); got != tt.want {
				t.Errorf("reason %q (%v), want %q", got, err, tt.want)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("an answer of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestDeadlineIsBounded(t *testing.T) {
	now := time.Now()
	r := request(id1)
	r.Deadline = now.Add(1000 * time.Hour)
	if got := order(r, cart, now).Deadline; !got.Equal(now.Add(maxPatience)) {
		t.Errorf("deadline in %v", got.Sub(now))
	}
	r.Deadline = time.Time{}
	if got := order(r, cart, now).Deadline; !got.IsZero() {
		t.Errorf("deadline %v, want take's default", got)
	}
}

// A node's clock may be an hour from the aggregator's: ahead of it, requests are refused by
// a reason that shows both; behind it, nobody waits for an hour.
func TestNodesClockIsAnother(t *testing.T) {
	asked := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	r := request(id1)
	r.Deadline = asked.Add(time.Minute)
	err := check(r, asked.Add(time.Hour))
	if gopprof.ReasonOf(err) != gopprof.ReasonExpired || !strings.Contains(err.Error(), "2026-11-22T12:01:00Z") || !strings.Contains(err.Error(), "2026-11-22T13:00:00Z") {
		t.Errorf("an hour ahead: %v", err)
	}
	behind := asked.Add(-time.Hour)
	if err := check(r, behind); err != nil {
		t.Errorf("an hour behind: %v", err)
	}
	if got := order(r, cart, behind).Deadline.Sub(behind); got != maxPatience {
		t.Errorf("an hour behind, the capture may start within %v", got)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := history{outcomes: make(map[string]gopprof.CaptureReply)}
	id := func(n int) string { return strings.Repeat("x", n) }
	for n := range 2 * historyMax {
		h.put(id(n), gopprof.CaptureReply{Accepted: true})
		h.put(id(n), gopprof.CaptureReply{Detail: "done"})
	}
	if len(h.outcomes) != historyMax || len(h.ids) != historyMax {
		t.Errorf("%d remembered in a list of %d, want %d", len(h.outcomes), len(h.ids), historyMax)
	}
	if r, ok := h.get(id(2*historyMax - 1)); !ok || r.Detail != "done" {
		t.Errorf("the newest is %+v, %v", r, ok)
	}
	if _, ok := h.get(id(historyMax - 1)); ok {
		t.Error("the oldest is still remembered")
	}
}

// Whatever comes, nothing is ordered for a target that discover does not list.
func FuzzRequest(f *testing.F) {
	good, err := json.Marshal(request(id1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"capture":"` + id1 + `","kind":"manual","kinds":["cpu"],"cpuSeconds":1e308}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r gopprof.CaptureRequest
		if json.Unmarshal(data, &r) != nil {
			return
		}
		tk := newTaker()
		a := New(tk, listed(cart), &publisher{}, zap.NewNop(), prometheus.NewRegistry())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		a.letIn(ctx)
		reply := a.Capture(ctx, r)
		if reply.Accepted != (len(tk.orders) == 1) || !reply.Accepted && reply.Reason == "" {
			t.Errorf("answered %+v to %d orders", reply, len(tk.orders))
		}
		for _, o := range tk.orders {
			if o.Target != cart || o.CPUSeconds < 0 {
				t.Errorf("ordered %+v", o)
			}
		}
	})
}
