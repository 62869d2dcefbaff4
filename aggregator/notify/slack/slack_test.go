package slack

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gopprof/gopprof/pkg/gopprof"
	corpus "github.com/gopprof/gopprof/test/hostile"
)

var update = flag.Bool("update", false, "write the golden files anew")

const id = "019aabba-5a00-7b3c-8d4e-0123456789ab"

func report() gopprof.Report {
	at := time.Date(2026, 11, 22, 11, 59, 0, 0, time.UTC)
	window := gopprof.Window{
		Witness: gopprof.WitnessCadvisor, Start: at.Add(-time.Minute), End: at, HasCPU: true,
		CPU: gopprof.Use{Mean: 0.93, Limit: 1, Ratio: 0.934},
	}
	return gopprof.Report{
		ID: id, Page: "https://gopprof.example/reports/" + id, MadeAt: at,
		Capture: gopprof.Capture{
			ID: id, Start: at,
			Target: gopprof.Target{
				Cluster: "prod", Node: "node-a", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"},
				Pod: "web-7d4b9c-hot01", Container: "web", Owner: "team-shop",
			},
			Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule, At: at, Evidence: &gopprof.Evidence{
				Rule: "cpu", Resource: gopprof.ResourceCPU, Threshold: 0.8, WindowSeconds: 60, Windows: []gopprof.Window{window, window},
			}},
			Agreement: gopprof.Agreement{Result: gopprof.AgreementConfirmed, Compared: []gopprof.Comparison{{Local: 0.93, Series: 0.91}}},
		},
		Explanation: gopprof.Explanation{
			Summary: "main.(*Cart).price burns 61 % of the CPU",
			Profiles: []gopprof.TopFunctions{{Kind: gopprof.KindCPU, SampleType: "cpu", Unit: "nanoseconds", Total: 27_900_000_000,
				Functions: []gopprof.Function{
					{Name: "main.(*Cart).price", Flat: 17_000_000_000, Cum: 19_000_000_000},
					{Name: "runtime.mallocgc", Flat: 3_000_000_000, Cum: 4_000_000_000},
				}}},
		},
		Files: []gopprof.File{{Kind: gopprof.KindCPU, Profile: "k/cpu.pb.gz", Drawing: "k/cpu.svg"}, {Kind: gopprof.KindHeap, Profile: "k/heap.pb.gz"}},
	}
}

func TestGolden(t *testing.T) {
	contradicted, manual, bare := report(), report(), gopprof.Report{ID: id}
	contradicted.Capture.Agreement.Result = gopprof.AgreementContradicted
	contradicted.Explanation.Warnings = []string{"The second witness contradicts: 91 % locally, 12 % in the series", "Few samples"}
	contradicted.Capture.Trigger.Evidence.Resource, contradicted.Capture.Trigger.Evidence.AtOnce = gopprof.ResourceMemory, true
	manual.Capture.Trigger = gopprof.Trigger{Kind: gopprof.TriggerManual, Request: &gopprof.Request{Who: "ada"}}
	manual.Capture.Agreement = gopprof.Agreement{}
	manual.Page = ""
	for name, r := range map[string]gopprof.Report{"rule": report(), "contradicted": contradicted, "manual": manual, "bare": bare} {
		body, _, err := Message(r)
		if err != nil {
			t.Fatal(err)
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, body, "", "  "); err != nil {
			t.Fatal(err)
		}
		pretty.WriteByte('\n')
		golden(t, filepath.Join("testdata", name+".json"), pretty.Bytes())
	}
}

// A node's capacity that stands in for a limit is never called a limit.
func TestTitleOfAContainerWithoutLimit(t *testing.T) {
	r := report()
	windows := r.Capture.Trigger.Evidence.Windows
	windows[len(windows)-1].CPU.Basis = gopprof.BasisNode
	if got, want := title(r), "shop/web-7d4b9c-hot01: cpu at 93 % of its node's capacity"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update ./aggregator/notify/slack writes it anew):\n%s", path, got)
	}
}

// hostile puts a text wherever a profiled program or an agent can put one.
func hostile(s string) gopprof.Report {
	r := report()
	t := &r.Capture.Target
	t.Cluster, t.Node, t.Namespace, t.Pod, t.Container = s, s, s, s, s
	t.Workload = gopprof.Workload{Kind: s, Name: s}
	r.Capture.Trigger.Evidence.Rule = s
	r.Capture.Trigger.Request = &gopprof.Request{Who: s}
	r.Capture.Agreement.Reason, r.Capture.Agreement.Result = gopprof.Reason(s), gopprof.AgreementResult(s)
	r.Explanation.Summary, r.Explanation.Warnings = s, []string{s, s}
	p := &r.Explanation.Profiles[0]
	p.SampleType, p.Kind = s, gopprof.Kind(s)
	for i := range p.Functions {
		p.Functions[i].Name = s
	}
	return r
}

func check(t *testing.T, r gopprof.Report) {
	t.Helper()
	body, _, err := Message(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 64<<10 {
		t.Errorf("%d bytes", len(body))
	}
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	bounded(t, "text", m.Text, 4000)
	mrkdwn(t, m.Text)
	for _, b := range m.Blocks {
		most := maxSection
		if b.Type == "header" {
			most = maxHeader
		}
		if b.Text != nil {
			bounded(t, b.Type, b.Text.Text, most)
			if b.Text.Type == "mrkdwn" {
				mrkdwn(t, b.Text.Text)
			}
		}
		for _, f := range append(b.Fields, b.Elements...) {
			bounded(t, "field", f.Text, maxField)
			if f.Type != "plain_text" {
				t.Errorf("a field of type %s", f.Type)
			}
		}
	}
}

func bounded(t *testing.T, what, s string, most int) {
	t.Helper()
	if n := utf8.RuneCountInString(s); n == 0 || n > most {
		t.Errorf("%s: %d characters of %d", what, n, most)
	}
}

// mrkdwn finds no "<" that we did not write ourselves.
func mrkdwn(t *testing.T, s string) {
	t.Helper()
	rest := strings.ReplaceAll(s, "<https://gopprof.example/", "")
	if strings.Contains(rest, "<") || strings.Contains(strings.ReplaceAll(rest, "\u200b", ""), "<!") {
		t.Errorf("a link or mention that is not ours: %q", s)
	}
	if n := strings.Count(s, "```"); n != 0 && n != 2 {
		t.Errorf("a code block that ends early: %q", s)
	}
}

func TestHostileNames(t *testing.T) {
	for _, s := range []string{
		"<!channel>", "<https://evil.example|Report>", "&lt;!here&gt;", "```<@U123>", "a\n\n*b*", "\x00\x1b[31m", "\u202egnp.exe",
		"\xff\xfe", strings.Repeat("&", 100_000), strings.Repeat("漢", 100_000), strings.Repeat("`", 500), " ", "|>", "](https://evil.example)",
	} {
		check(t, hostile(s))
	}
}

func TestHostilePages(t *testing.T) {
	for _, page := range []string{"javascript:alert(1)/reports/" + id, "//evil.example/reports/" + id, "https:///reports/" + id,
		"https://gopprof.example/" + id, "https://gopprof.example/reports/" + id + "?x|y>", ":%", "ftp://x/reports/" + id} {
		r := report()
		r.Page = page
		if l := links(r); l != "" {
			t.Errorf("page %q gives %q", page, l)
		}
	}
	r := report()
	r.Page = "https://gopprof.example/a|b>c<!channel>/reports/" + id
	check(t, r)
}

func TestMentionsInOtherChats(t *testing.T) {
	body, _, err := Message(hostile("@channel [Report](https://evil.example)"))
	if err != nil {
		t.Fatal(err)
	}
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(m.Text, "@channel") || strings.Contains(m.Text, "](") {
		t.Errorf("text: %q", m.Text)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add("<!channel>")
	f.Add("`")
	f.Add("\xff")
	for _, name := range corpus.Names() {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if clean(s, 10) == "" {
			s += "x" // an empty name is not what this is about
		}
		check(t, hostile(s))
	})
}
