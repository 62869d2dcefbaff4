package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func item(pod string, ratio float64) Item {
	return Item{Report: "report-" + pod, Namespace: "shop", Workload: "Deployment/web", Pod: pod, What: "hot", Ratio: ratio}
}

// grown is a group that got a report of each pod at a time after noon.
func grown(at time.Duration, pods ...string) group {
	var g group
	for _, pod := range pods {
		g, _ = g.add(item(pod, 0.9), defaultTiming, noon.Add(at))
	}
	return g
}

// told is the group after what it decides was told.
func told(g group, at time.Duration) group {
	now := noon.Add(at)
	d := g.decide(now, time.Minute)
	if d.act != actTell {
		panic(d.why)
	}
	return g.begun(d, "g", now).done(now)
}

// When a group is told of, waited with or left alone, and why.
func TestDecide(t *testing.T) {
	const m = time.Minute
	fresh := grown(0, "a")
	first := told(fresh, m)
	add := func(g group, pod string, at time.Duration) group {
		g, _ = g.add(Item{Report: fmt.Sprint(pod, at), Namespace: "shop", Pod: pod}, g.Timing, noon.Add(at))
		return g
	}
	again := add(first, "b", 2*m)
	setBack := add(first, "b", -50*m)
	known := first
	for at := 5 * m; at < 250*m; at += 5 * m {
		known, _ = known.add(Item{Report: fmt.Sprint(at), Namespace: "shop", Workload: "Deployment/web", Pod: "a"}, defaultTiming, noon.Add(at))
	}
	begun := fresh.begun(decision{act: actTell, kind: KindFirst}, "g", noon.Add(m))
	failed := begun.failed(Outcome{Reason: "status", Retry: true}, noon.Add(3*m), noon.Add(m))
	quiet := first
	quiet.Timing.NoFollowUp = true
	ended := told(first, 20*m)
	for _, x := range []struct {
		name  string
		g     group
		at    time.Duration
		act   act
		why   string
		kind  Kind
		until time.Duration
	}{
		{"no group", group{}, 0, actNothing, whyNothing, "", 0},
		{"a report waits for others", fresh, 10 * time.Second, actWait, whyGroupWait, "", 30 * time.Second},
		{"and is told", fresh, 30 * time.Second, actTell, whyFirst, KindFirst, 0},
		{"told, it goes on", first, 2 * m, actWait, whyStillGoing, "", 15 * m},
		{"another pod, within the interval", again, 3 * m, actWait, whyInterval, "", 6 * m},
		{"another pod, after the interval", again, 6 * m, actTell, whyMore, KindMore, 0},
		{"another pod, long after the interval", add(first, "b", 14*m), 14 * m, actTell, whyMore, KindMore, 0},
		{"the same pods go on", known, 200 * m, actWait, whyStillGoing, "", 241 * m},
		{"the same pods, after long", known, 241 * m, actTell, whyRepeat, KindRepeat, 0},
		{"nothing more came", first, 15 * m, actTell, whyEnded, KindEnded, 0},
		{"nothing more came, and nobody wants to know", quiet, 15 * m, actClose, whyEnded, "", 0},
		{"over", ended, 100 * m, actNothing, whyNothing, "", 0},
		{"a new story", add(ended, "a", 100*m), 101 * m, actTell, whyFirst, KindFirst, 0},
		{"being told", begun, m + 30*time.Second, actWait, whyInFlight, "", 2 * m},
		{"whoever told it is dead", begun, 2 * m, actTell, whyUnknown, KindFirst, 0},
		{"failed", failed, 2 * m, actWait, whyFailed, "", 3 * m},
		{"failed, and its time has come", failed, 3 * m, actTell, whyRetry, KindFirst, 0},
		{"failed, then the clock was set back", failed, -60 * m, actTell, whyRetry, KindFirst, 0},
		{"being told, then the clock was set back", begun, -60 * m, actTell, whyUnknown, KindFirst, 0},
		{"fresh, then the clock was set back", fresh, -60 * m, actTell, whyFirst, KindFirst, 0},
		{"told, then the clock was set back, then fresh", setBack, -49 * m, actTell, whyMore, KindMore, 0},
	} {
		d := x.g.decide(noon.Add(x.at), m)
		until := time.Duration(0)
		if d.act == actWait {
			until = d.until.Sub(noon)
		}
		if d.act != x.act || d.why != x.why || d.kind != x.kind || until != x.until {
			t.Errorf("%s: %d %q %q until %v", x.name, d.act, d.why, d.kind, until)
		}
		if d.act == actTell && d.until.After(noon.Add(x.at)) {
			t.Errorf("%s: to be told since %v, which is to come", x.name, d.until.Sub(noon))
		}
		if d.act == actTell && (d.why == whyUnknown) != d.same {
			t.Errorf("%s: the same message: %v", x.name, d.same)
		}
	}
}

// Thirty pods are one message: the hottest by name, in full or in a line, the others counted.
func TestThirtyPods(t *testing.T) {
	var g group
	for k := range 30 {
		i := item(fmt.Sprintf("web-%02d", k), float64(k)/30)
		i.Facts = []Fact{{"a", "b"}}
		if k == 3 {
			i.Scope = string(gopprof.ScopePod) // this pod alone: the one to look at
		}
		g, _ = g.add(i, defaultTiming, noon)
	}
	if g, added := g.add(item("web-07", 1), defaultTiming, noon); added || g.Fresh.Reports != 30 {
		t.Error("a report was added twice")
	}
	g = g.begun(g.decide(noon.Add(time.Hour), time.Minute), "g", noon.Add(time.Second))
	p := g.part()
	if len(p.Items) != mostItems || p.Pods != 30 || p.Reports != 30 || p.Ended {
		t.Fatalf("%d items, %d pods, %d reports", len(p.Items), p.Pods, p.Reports)
	}
	for k, want := range []string{"web-03", "web-29", "web-28", "web-27"} {
		if p.Items[k].Pod != want || (k < fullItems) != (len(p.Items[k].Facts) > 0) {
			t.Errorf("pod %d is %s, with facts: %v", k, p.Items[k].Pod, p.Items[k].Facts)
		}
	}
	o := Message{Parts: []Part{p}}.Outline(5)
	if o.Title != "30 pods of shop/Deployment/web: hot" || len(o.Pods) != 6 || o.Pods[5] != "24 more pods" {
		t.Errorf("%q, %q", o.Title, o.Pods)
	}
}

// What failed to be told is told with what came since, under another ID; what may have
// arrived is told again as it was.
func TestTellingAgain(t *testing.T) {
	now := noon.Add(time.Minute)
	g := grown(0, "a")
	g = g.begun(g.decide(now, time.Minute), "g", now)
	first := *g.Sending
	g, _ = g.add(item("b", 1), defaultTiming, now)
	late := now.Add(time.Hour)
	if again := g.begun(g.decide(late, time.Minute), "g", late); again.Sending.ID != first.ID || len(again.Sending.Batch.Items) != 1 || again.Fresh.Reports != 1 {
		t.Errorf("of unknown fate: %+v", again.Sending)
	}
	g = g.failed(Outcome{Reason: "status", Retry: true}, late, now)
	g = g.begun(g.decide(late, time.Minute), "g", late)
	if g.Sending.ID == first.ID || len(g.Sending.Batch.Items) != 2 || g.Sending.Batch.Reports != 2 || g.Fresh.Reports != 0 || g.Attempts != 2 || !g.Sending.Ended {
		t.Errorf("after a failure: %+v", g)
	}
	g = g.done(late)
	if !g.Ended || g.Sending != nil || g.decide(late.Add(time.Hour), time.Minute).act != actNothing {
		t.Errorf("begun and ended in one message: %+v", g)
	}
}

// A report that comes while its end is being told is a new message.
func TestReportDuringTheEnd(t *testing.T) {
	g := told(grown(0, "a"), time.Minute)
	end := noon.Add(20 * time.Minute)
	g = g.begun(g.decide(end, time.Minute), "g", end)
	g, _ = g.add(item("b", 1), defaultTiming, end)
	g = g.done(end)
	if d := g.decide(end.Add(6*time.Minute), time.Minute); g.Ended || d.act != actTell || d.kind != KindMore {
		t.Errorf("%+v", d)
	}
	failed := told(grown(0, "a"), time.Minute)
	failed = failed.begun(failed.decide(end, time.Minute), "g", end).failed(Outcome{Reason: "status", Retry: true}, end, end)
	failed, _ = failed.add(item("b", 1), defaultTiming, end)
	failed = failed.begun(failed.decide(end, time.Minute), "g", end)
	if failed.Sending.Kind != KindMore || failed.Sending.Ended || len(failed.Sending.Batch.Items) != 1 {
		t.Errorf("it is not over: %+v", failed.Sending)
	}
}

// However many reports come, a record stays small.
func TestRecordsAreBounded(t *testing.T) {
	var g group
	long := strings.Repeat("漢", 5000)
	for k := range 3 * mostSeen {
		r := gopprof.Report{ID: fmt.Sprintf("019aabba-5a00-7b3c-8d4e-%012d", k)}
		r.Capture.Target.Pod, r.Explanation.Summary, r.Explanation.Warnings = fmt.Sprint(long, k)[len(long)-300:], long, []string{long, long, long}
		i := ItemOf(r)
		g, _ = g.add(i, defaultTiming, noon)
	}
	if n := size(t, g); n > 256<<10 {
		t.Errorf("%d bytes", n)
	}
	g = told(g, time.Hour)
	if n := size(t, g); n > 256<<10 {
		t.Errorf("told: %d bytes", n)
	}
	if !g.Ended {
		t.Error("not ended")
	}
}

// A record fits into a NATS message however much fails while ever more pods are reported.
func TestRecordsOfFailuresAreBounded(t *testing.T) {
	long := strings.Repeat("漢", 1200)
	r := gopprof.Report{}
	r.Explanation.Summary, r.Explanation.Warnings = long, []string{long, long, long}
	r.Capture.Target.Node, r.Capture.Target.Namespace, r.Capture.Target.Pod = long, long, long
	r.Explanation.Verdict = &gopprof.Verdict{Causes: []gopprof.Cause{{Line: long}, {Line: long}}}
	i, g, now, timing := ItemOf(r), group{}, noon, defaultTiming
	timing.Renew = true // so that the pods told of are kept in full
	add := func(pods int) {
		for k := range pods {
			i.Report = fmt.Sprintf("019aabba-5a00-7b3c-8d4e-%06d%06d", g.Seq, k)
			i.Pod = i.Report + i.Pod[len(i.Report):]
			g, _ = g.add(i, timing, now)
		}
	}
	add(mostSeen)
	g = told(g, time.Minute)
	g.Ended = false
	for range 2 {
		add(mostSeen)
		now = now.Add(time.Hour)
		g = g.begun(g.decide(now, time.Minute), "g", now)
		add(mostSeen)
		g = g.failed(Outcome{Reason: "status", Retry: true, Detail: long[:300]}, now, now)
	}
	if n := size(t, g); n > 1000<<10 || len(g.Sending.Late.Items) == 0 || g.Same.Reports+g.Fresh.Reports == 0 {
		t.Errorf("%d bytes, %d late", n, len(g.Sending.Late.Items))
	}
}

// A message that failed for too long is given up without what joined it since; one that was
// refused for good, with that.
func TestGivingUp(t *testing.T) {
	later := noon.Add(time.Hour)
	g := grown(0, "a")
	g = g.begun(g.decide(later, time.Minute), "g", later)
	g, _ = g.add(item("b", 1), defaultTiming, later)
	g = g.failed(Outcome{Reason: "status", Retry: true}, later, later)
	g = g.begun(g.decide(later, time.Minute), "g", later)
	g, _ = g.add(Item{Report: "again", Namespace: "shop", Workload: "Deployment/web", Pod: "a"}, defaultTiming, later)
	pods := func(g group) (all []string) {
		for _, i := range g.Fresh.Items {
			all = append(all, i.Pod)
		}
		return all
	}
	if got := pods(g.gaveUp(false, later)); fmt.Sprint(got) != "[b a]" {
		t.Errorf("failed for too long: %v are told anew", got)
	}
	if got := pods(g.gaveUp(true, later)); fmt.Sprint(got) != "[a]" {
		t.Errorf("refused for good: %v are told anew", got)
	}
	d := g.done(later)
	if d.Fresh.Reports != 0 || d.Again != 1 || d.Told.Reports != 2 {
		t.Errorf("told: %+v", d)
	}
}

// A follow-up that waits to be tried again is taken back once it is not over.
func TestFollowUpIsTakenBack(t *testing.T) {
	end := noon.Add(20 * time.Minute)
	g := told(grown(0, "a"), time.Minute)
	g = g.begun(g.decide(end, time.Minute), "g", end).failed(Outcome{Reason: "status", Retry: true}, end, end)
	g, _ = g.add(Item{Report: "again", Namespace: "shop", Workload: "Deployment/web", Pod: "a"}, defaultTiming, end)
	if d := g.decide(end, time.Minute); d.act != actWait || d.until != end.Add(15*time.Minute) {
		t.Errorf("%+v", d)
	}
}

func FuzzGroup(f *testing.F) {
	f.Add([]byte(`{"receiver":"ops","since":"2026-11-22T03:04:05Z","fresh":{"reports":1},"freshAt":"9999-12-31T23:59:59Z"}`))
	f.Add([]byte(`{"state":"sending","sending":{"id":"x"},"attempts":-9223372036854775808,"at":"9999-12-31T23:59:59Z"}`))
	f.Add([]byte(`{"state":"waiting","sending":{"kind":"ended"},"next":"2026-11-22T03:04:05Z","timing":{"endAfter":-1}}`))
	f.Add([]byte(`{"state":"sending"}`))
	f.Add([]byte(`{"state":"sending","sending":{"id":"x"},"at":"9999-12-31T23:59:59Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g := groupOf(data)
		for range 3 {
			d := g.decide(noon, time.Minute)
			if (d.act == actWait) != d.until.After(noon) {
				t.Errorf("%+v", d)
			}
			if d.act != actTell {
				break
			}
			g = g.begun(d, "g", noon)
			_ = Message{Parts: []Part{g.part()}}.Outline(3)
			g = g.done(noon)
		}
	})
}

func size(t *testing.T, g group) int {
	t.Helper()
	b, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	return len(b)
}
