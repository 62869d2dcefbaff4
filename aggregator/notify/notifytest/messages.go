package notifytest

import (
	"fmt"
	"strings"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/pkg/gopprof"
	corpus "github.com/gopprof/gopprof/test/hostile"
)

// Messages are messages of every kind, from the smallest to the largest.
func Messages() map[string]notify.Message {
	small, full := notify.ItemOf(Report()), notify.ItemOf(Full())
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ended := many(full, notify.KindEnded)
	ended.Parts[0].Ended = true
	digest := notify.Message{ID: "digest-1"}
	for range 50 {
		digest.Parts = append(digest.Parts, many(full, notify.KindFirst).Parts...)
	}
	return map[string]notify.Message{
		"one": notify.One(small, at), "full": notify.One(full, at), "bare": notify.One(notify.ItemOf(gopprof.Report{ID: "x"}), at),
		"more": many(full, notify.KindMore), "repeat": many(small, notify.KindRepeat), "ended": ended, "digest": digest,
		"test":                   {ID: "test-1", Who: "ada"},
		"ended, nothing by name": {ID: "e", Parts: []notify.Part{{Kind: notify.KindEnded, Group: "incident=x", Pods: 3, Reports: 7, Ended: true, Since: at, Last: at}}},
	}
}

func many(i notify.Item, kind notify.Kind) notify.Message {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	p := notify.Part{Kind: kind, Group: "incident=x", Pods: 30, Reports: 44, Since: at, Last: at.Add(time.Minute), Until: at.Add(time.Hour)}
	for k := range 20 {
		pod := i
		pod.Pod = fmt.Sprintf("%.100s-%d", i.Pod, k)
		p.Items = append(p.Items, pod)
	}
	return notify.Message{ID: "many-1", Parts: []notify.Part{p}}
}

// Full is a report with as much in it as there can be.
func Full() gopprof.Report {
	r := Hostile(strings.Repeat("long&name<漢>", 60))
	r.Links = map[string]string{}
	for k := range 20 {
		r.Links[fmt.Sprintf("link %d", k)] = "https://links.example/" + strings.Repeat("x", 600)
	}
	return r
}

// Hostile is a report with a text wherever a profiled program or an agent can put one.
func Hostile(s string) gopprof.Report {
	r := Report()
	t := &r.Capture.Target
	t.Cluster, t.Node, t.Namespace, t.Pod, t.Container, t.Owner = s, s, s, s, s, s
	t.Workload = gopprof.Workload{Kind: s, Name: s}
	r.Capture.Labels = map[string]string{s: s, "app.kubernetes.io/name": s}
	r.Capture.Trigger.Evidence.Rule = s
	r.Capture.Trigger.Request = &gopprof.Request{Who: s}
	r.Capture.Agreement.Reason, r.Capture.Agreement.Result = gopprof.Reason(s), gopprof.AgreementResult(s)
	r.Explanation.Summary, r.Explanation.Warnings = s, []string{s, s, s, s, s, s, s, s, s}
	r.Explanation.Verdict = &gopprof.Verdict{Scope: gopprof.Scope(s)}
	for range 5 {
		r.Explanation.Verdict.Causes = append(r.Explanation.Verdict.Causes, gopprof.Cause{Kind: gopprof.CauseKind(s), Confidence: gopprof.Confidence(s), Line: s + "."})
	}
	r.Links = map[string]string{s: "https://links.example/x", "evil": s, "script": "javascript:alert(1)"}
	p := &r.Explanation.Profiles[0]
	p.SampleType, p.Kind = s, gopprof.Kind(s)
	for i := range p.Functions {
		p.Functions[i].Name = s
	}
	return r
}

// names are names that have tried to be markup in some channel.
func names() []string {
	return append([]string{
		"<!channel>", "<https://evil.example|Report>", "&lt;!here&gt;", "```<@U123>", "a\n\n*b*", "\x00\x1b[31m", "\u202egnp.exe",
		"\xff\xfe", strings.Repeat("&", 100_000), strings.Repeat("漢", 100_000), strings.Repeat("`", 500), "|>", "](https://evil.example)",
		"[Report](https://evil.example)", "<at id=all></at>", "<@all>", "@13800138000", "**b**", "# h", "> q", "![i](https://evil.example/x.png)",
		"<font color=\"warning\">x</font>", "https://evil.example/x", "<script>alert(1)</script>", "{{.}}", "\r\nBcc: evil@evil.example", "\\[x\\](y)",
	}, corpus.Names()...)
}

// hostileMessages are a message about one such report, about many of an incident, and a
// digest of two.
func hostileMessages(name string, at time.Time) []notify.Message {
	m := notify.One(notify.ItemOf(Hostile(name)), at)
	return []notify.Message{m, many(m.Parts[0].Items[0], notify.KindMore), {ID: "x", Parts: append(m.Parts, m.Parts...)}}
}
