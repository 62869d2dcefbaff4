package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/explain"
	"github.com/gopprof/gopprof/aggregator/receive"
	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// fakes write down, in order, what the pipeline did. fail names a step that fails.
type fakes struct {
	drawn     []string // what each drawing was made from
	steps     []string
	fail      string
	committed *gopprof.Report
	exists    bool // Commit finds a report that somebody else made
	vanished  bool // and that is gone when it is looked for
	announce  error
}

var errStep = errors.New("step failed")

func (f *fakes) step(format string, args ...any) error {
	s := fmt.Sprintf(format, args...)
	f.steps = append(f.steps, s)
	if s == f.fail {
		return errStep
	}
	return nil
}

func (f *fakes) Committed(context.Context, gopprof.Capture) (gopprof.Report, bool, error) {
	err := f.step("committed?")
	if f.committed == nil {
		return gopprof.Report{}, false, err
	}
	return *f.committed, true, err
}

func (f *fakes) PutProfile(_ context.Context, _ gopprof.Capture, p gopprof.Profile) (string, error) {
	return "key-" + string(p.Kind), f.step("profile %s", p.Kind)
}

func (f *fakes) PutDrawing(_ context.Context, _ gopprof.Capture, k gopprof.Kind, _ []byte) (string, error) {
	return "drawing-" + string(k), f.step("drawing %s", k)
}

func (f *fakes) PutPicture(context.Context, gopprof.Capture, []byte) (string, error) {
	return "picture", f.step("picture")
}

func (f *fakes) Commit(_ context.Context, r gopprof.Report) error {
	if f.exists {
		if !f.vanished {
			f.committed = &gopprof.Report{ID: r.ID, Page: "theirs"}
		}
		return errors.Join(f.step("commit"), store.ErrExists)
	}
	return f.step("commit")
}

func (f *fakes) Draw(_ context.Context, k gopprof.Kind, data []byte) ([]byte, error) {
	f.drawn = append(f.drawn, string(data))
	return []byte("<svg/>"), f.step("draw %s", k)
}

func (f *fakes) Announce(_ context.Context, r gopprof.Report) error {
	return errors.Join(f.step("announce %s", r.Page), f.announce)
}
func (f *fakes) Stored(context.Context, gopprof.Report) error { return f.step("close") }

func (f *fakes) Failed(context.Context, gopprof.Capture) error { return f.step("close failed") }

func (f *fakes) GivenUp(_ context.Context, _ gopprof.Capture, reason gopprof.Reason, _ string) error {
	return f.step("close given up %s", reason)
}

func newTestPipeline(f *fakes) *pipeline {
	return &pipeline{
		store: f, draw: f, announce: f, dispatch: f,
		explain: func(gopprof.Capture, explain.Around) (gopprof.Explanation, reduced) {
			_ = f.step("explain")
			return gopprof.Explanation{}, nil
		},
		page: func(string) string { return "ours" },
		now:  func() time.Time { return time.Unix(0, 0) },
	}
}

var capture = gopprof.Capture{ID: "c", Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU}, {Kind: gopprof.KindTrace}}}

const inOrder = "profile cpu, profile trace, explain, draw cpu, drawing cpu, commit, announce ours, close"

func (f *fakes) done() string { return strings.Join(f.steps, ", ") }

func TestStepsOfContractThree(t *testing.T) {
	f := &fakes{}
	if err := newTestPipeline(f).Handle(t.Context(), capture); err != nil {
		t.Fatal(err)
	}
	if f.done() != inOrder {
		t.Errorf("got  %s\nwant %s", f.done(), inOrder)
	}
}

// A step that fails ends the work there, with its error: nothing later has happened.
func TestEveryStepThatFails(t *testing.T) {
	steps := strings.Split(inOrder, ", ")
	for i, step := range steps {
		if step == "explain" || strings.HasPrefix(step, "draw ") {
			continue
		}
		f := &fakes{fail: step}
		if err := newTestPipeline(f).Handle(t.Context(), capture); !errors.Is(err, errStep) {
			t.Errorf("%s: error %v", step, err)
		}
		if !slices.Equal(f.steps, steps[:i+1]) {
			t.Errorf("%s failed, and yet: %s", step, f.done())
		}
	}
}

func TestAttemptThatCameToNothingMakesNoReport(t *testing.T) {
	f := &fakes{}
	if err := newTestPipeline(f).Handle(t.Context(), gopprof.Capture{ID: "c"}); err != nil || f.done() != "close failed" {
		t.Errorf("%v: %s", err, f.done())
	}
}

func TestReportWithoutDrawingSaysWhy(t *testing.T) {
	f := &fakes{fail: "draw cpu"}
	p := newTestPipeline(f)
	report, err := p.makeReport(t.Context(), capture)
	if err != nil {
		t.Fatal(err)
	}
	file, _ := report.File(gopprof.KindCPU)
	if file.Profile != "key-cpu" || file.Drawing != "" || file.Reason != gopprof.ReasonDrawFailed || file.Detail == "" {
		t.Errorf("file %+v, want the profile and the reason why there is no drawing", file)
	}
}

// failing is a drawer that has no drawing.
type failing func() error

func (f failing) Draw(context.Context, gopprof.Kind, []byte) ([]byte, error) { return nil, f() }

// A report is made once: one whose drawing was cut off by the aggregator's own end, or by the time
// that handling a capture may take, is made when the capture comes again, and not without it.
func TestCutOffWhileItDraws(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	f := &fakes{}
	p := newTestPipeline(f)
	p.draw = failing(func() error { stop(); return ctx.Err() })
	if err := p.Handle(ctx, capture); !errors.Is(err, context.Canceled) {
		t.Errorf("handled: %v", err)
	}
	if want := "profile cpu, profile trace, explain"; f.done() != want {
		t.Errorf("got  %s\nwant %s", f.done(), want)
	}
}

func TestCommittedReportIsAnnouncedAgainAndNeverMadeAgain(t *testing.T) {
	f := &fakes{committed: &gopprof.Report{ID: "c", Page: "first"}}
	done, err := newTestPipeline(f).Resume(t.Context(), capture)
	if !done || err != nil || f.done() != "committed?, announce first, close" {
		t.Errorf("%v, %v: %s", done, err, f.done())
	}
}

func TestNothingToResume(t *testing.T) {
	f := &fakes{}
	if done, err := newTestPipeline(f).Resume(t.Context(), capture); done || err != nil || f.done() != "committed?" {
		t.Errorf("%v, %v: %s", done, err, f.done())
	}
}

// Two workers with one capture: the report that was committed first is the one that both
// announce.
func TestSecondWorkerAnnouncesTheFirstOnesReport(t *testing.T) {
	f := &fakes{exists: true}
	if err := newTestPipeline(f).Handle(t.Context(), capture); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(f.steps, "announce theirs") || slices.Contains(f.steps, "announce ours") {
		t.Error(f.done())
	}
}

// A report that was swept between two looks at it is made again, not told as an empty one.
func TestFirstOnesReportVanished(t *testing.T) {
	f := &fakes{exists: true, vanished: true}
	if err := newTestPipeline(f).Handle(t.Context(), capture); err == nil || receive.Poisoned(err) {
		t.Errorf("error %v, want one that passes", err)
	}
	if strings.Contains(f.done(), "announce") {
		t.Error(f.done())
	}
}

// A report that NATS will never take is stored all the same: who waits for it learns so,
// and the capture goes where a person can look at it.
func TestReportThatCanNeverBeAnnounced(t *testing.T) {
	for err, want := range map[error]bool{bus.ErrTooLarge: true, bus.ErrInvalid: true, bus.ErrDifferent: true, bus.ErrAway: false, bus.ErrFull: false} {
		f := &fakes{announce: fmt.Errorf("announcing: %w", err)}
		got := newTestPipeline(f).Handle(t.Context(), capture)
		if receive.Poisoned(got) != want || !errors.Is(got, err) {
			t.Errorf("%v: %v, poison: %v", err, got, receive.Poisoned(got))
		}
		if strings.HasSuffix(f.done(), "close") != want {
			t.Errorf("%v: %s", err, f.done())
		}
	}
	f := &fakes{announce: bus.ErrTooLarge, fail: "close"}
	if got := newTestPipeline(f).Handle(t.Context(), capture); receive.Poisoned(got) || !errors.Is(got, errStep) {
		t.Errorf("nobody was told, and yet given up: %v", got)
	}
}

// What cannot be read or was never switched on is not drawn, and the file says so in the
// same words.
func TestNothingToDraw(t *testing.T) {
	f := &fakes{}
	p := newTestPipeline(f)
	p.explain = func(gopprof.Capture, explain.Around) (gopprof.Explanation, reduced) {
		return gopprof.Explanation{Profiles: []gopprof.TopFunctions{{Kind: gopprof.KindMutex, Reason: gopprof.ReasonNotEnabled, Detail: "empty"}}}, nil
	}
	report, err := p.makeReport(t.Context(), gopprof.Capture{ID: "c", Profiles: []gopprof.Profile{{Kind: gopprof.KindMutex}, {Kind: gopprof.KindCPU}}})
	if err != nil {
		t.Fatal(err)
	}
	file, _ := report.File(gopprof.KindMutex)
	if file.Reason != gopprof.ReasonNotEnabled || file.Detail != "empty" || strings.Contains(f.done(), "draw mutex") || !strings.Contains(f.done(), "draw cpu") {
		t.Errorf("file %+v after %s", file, f.done())
	}
}

// Where there is less to draw a profile from, it is drawn from that, and stored as it came.
func TestDrawnFromLess(t *testing.T) {
	f := &fakes{}
	p := newTestPipeline(f)
	p.explain = func(gopprof.Capture, explain.Around) (gopprof.Explanation, reduced) {
		return gopprof.Explanation{}, reduced{gopprof.KindHeap: []byte("less"), gopprof.KindCPU: nil}
	}
	c := gopprof.Capture{ID: "c", Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU, Bytes: []byte("cpu")}, {Kind: gopprof.KindHeap, Bytes: []byte("heap")}}}
	if _, err := p.makeReport(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.drawn, ", "); got != "cpu, less" {
		t.Errorf("drawn from %q", got)
	}
}

func TestWhatTheStoreWillNeverTakeIsPoison(t *testing.T) {
	for err, want := range map[error]bool{store.ErrDifferent: true, store.ErrInvalid: true, store.ErrBroken: true, errStep: false, nil: false} {
		got := lasting(err)
		if poisoned := got != err; poisoned != want || !errors.Is(got, err) {
			t.Errorf("%v: poisoned %v, want %v", err, poisoned, want)
		}
	}
}

// The picture of the evidence is stored before the report that names it; there may be none.
func TestPictureOfTheEvidence(t *testing.T) {
	for there, want := range map[bool]string{true: "drawing cpu, picture, commit", false: "drawing cpu, commit"} {
		f := &fakes{}
		p := newTestPipeline(f)
		p.picture = func(gopprof.Capture) ([]byte, bool) { return []byte("<svg/>"), there }
		report, err := p.makeReport(t.Context(), capture)
		if err != nil || (report.Picture == "picture") != there || !strings.Contains(f.done(), want) {
			t.Errorf("there is one: %v; %v: picture %q after %s", there, err, report.Picture, f.done())
		}
	}
	f := &fakes{fail: "picture"}
	p := newTestPipeline(f)
	p.picture = func(gopprof.Capture) ([]byte, bool) { return nil, true }
	if _, err := p.makeReport(t.Context(), capture); !errors.Is(err, errStep) || strings.Contains(f.done(), "commit") {
		t.Errorf("%v after %s", err, f.done())
	}
}

// Two workers of different versions draw differently. The one that is slower finds the report
// committed when it comes again: nothing is wrong with the capture.
func TestSecondWorkerDrawsDifferently(t *testing.T) {
	cfg := store.DefaultConfig()
	cfg.URL = "mem://"
	stored, err := store.Open(t.Context(), cfg, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stored.Close() })
	c := taken(uuid.Must(uuid.NewV7()).String(), uuid.Must(uuid.NewV7()).String(), shopTarget, gopprof.Trigger{Kind: gopprof.TriggerManual})
	for _, what := range []string{"drawing", "picture"} {
		t.Run(what, func(t *testing.T) {
			c.ID = uuid.Must(uuid.NewV7()).String()
			worker := func(version string, between func()) *pipeline {
				p := newTestPipeline(&fakes{})
				p.store = stored
				p.draw = drawing(func() []byte { between(); return fmt.Append(nil, "<svg>", version[:one(what == "drawing")], "</svg>") })
				p.picture = func(gopprof.Capture) ([]byte, bool) {
					return fmt.Append(nil, "<svg>", version[:one(what == "picture")], "</svg>"), true
				}
				return p
			}
			slow := worker("1", func() {
				if err := worker("2", func() {}).Handle(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
			if err := slow.Handle(t.Context(), c); err == nil || receive.Poisoned(err) {
				t.Errorf("the slow one: %v, want an error that passes", err)
			}
			if done, err := slow.Resume(t.Context(), c); !done || err != nil {
				t.Errorf("when it comes again: %v, %v", done, err)
			}
		})
	}
}

type drawing func() []byte

func (d drawing) Draw(context.Context, gopprof.Kind, []byte) ([]byte, error) { return d(), nil }

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// besides says how long to wait, and what is around.
type besides struct {
	left   time.Duration
	around explain.Around
}

func (b besides) Ready(context.Context, gopprof.Capture) time.Duration   { return b.left }
func (b besides) Around(context.Context, gopprof.Capture) explain.Around { return b.around }

// A capture comes again until its siblings have come, and is never held up once its report
// is there, or when there will be none.
func TestCaptureWaitsForItsSiblings(t *testing.T) {
	for name, c := range map[string]struct {
		capture   gopprof.Capture
		committed *gopprof.Report
		left      time.Duration
		want      error
		done      bool
	}{
		"they are to come":                {capture, nil, time.Minute, receive.Later(time.Second), false},
		"the time is nearly over":         {capture, nil, 300 * time.Millisecond, receive.Later(300 * time.Millisecond), false},
		"all have ended":                  {capture, nil, 0, nil, false},
		"its report is committed":         {capture, &gopprof.Report{ID: "c"}, time.Minute, nil, true},
		"an attempt that came to nothing": {gopprof.Capture{ID: "c"}, nil, time.Minute, nil, false},
	} {
		p := newTestPipeline(&fakes{committed: c.committed})
		p.compare = besides{left: c.left}
		done, err := p.Resume(t.Context(), c.capture)
		if done != c.done || fmt.Sprint(err) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, %v; want %v, %v", name, done, err, c.done, c.want)
		}
	}
}

func TestReportSaysWhomItWasComparedWith(t *testing.T) {
	p := newTestPipeline(&fakes{})
	around := explain.Around{Fleet: &gopprof.Fleet{Pods: 3, Hot: 1}, Siblings: []gopprof.Sibling{{Capture: "s"}}, Others: []explain.Other{{}}}
	p.compare = besides{around: around}
	var told explain.Around
	p.explain = func(_ gopprof.Capture, a explain.Around) (gopprof.Explanation, reduced) {
		told = a
		return gopprof.Explanation{}, nil
	}
	report, err := p.makeReport(t.Context(), capture)
	if err != nil || len(report.Siblings) != 1 || report.Fleet == nil || *report.Fleet != *around.Fleet {
		t.Errorf("%v: siblings %+v, fleet %+v", err, report.Siblings, report.Fleet)
	}
	if len(told.Others) != 1 || len(told.Siblings) != 1 || told.Fleet != around.Fleet {
		t.Errorf("told of %+v", told)
	}
}

type oneOwner struct{}

func (oneOwner) Owner(context.Context, gopprof.Target) (string, map[string]string) {
	return "team", map[string]string{"runbook": "https://example.test/run"}
}

func TestOwnerAndLinksAreTheAggregatorsWord(t *testing.T) {
	p := newTestPipeline(&fakes{})
	p.owners = oneOwner{}
	report, err := p.makeReport(t.Context(), capture)
	if err != nil || report.Capture.Target.Owner != "team" || report.Links["runbook"] == "" {
		t.Errorf("%v: owner %q, links %v", err, report.Capture.Target.Owner, report.Links)
	}
}
