package explain

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// quiet is 1.5 CPU seconds of the program that burns, when it does not.
func quiet() []byte {
	return profiletest.CPU(30,
		on(700*second/1000, "main.parse", "main.handle", "main.main", "runtime.main"),
		on(800*second/1000, "fmt.Println", "main.log", "main.handle", "main.main", "runtime.main"),
	)
}

func other(pod string, read func(gopprof.Kind) ([]byte, error), kinds ...gopprof.Kind) Other {
	c := gopprof.Capture{ID: pod, Target: gopprof.Target{Pod: pod}}
	for _, k := range kinds {
		c.Profiles = append(c.Profiles, gopprof.Profile{Kind: k, Seconds: 30})
	}
	return Other{Report: gopprof.Report{ID: pod, Capture: c}, Read: read}
}

func bytesOf(data []byte) func(gopprof.Kind) ([]byte, error) {
	return func(gopprof.Kind) ([]byte, error) { return data, nil }
}

func TestBesideQuietPods(t *testing.T) {
	c := capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, burner()), file(gopprof.KindMutex, profiletest.Contention()))
	around := Around{
		Fleet:  &gopprof.Fleet{Pods: 6, Build: 6, Hot: 1, Quiet: 5},
		Others: []Other{other("quiet-1", bytesOf(quiet()), gopprof.KindCPU, gopprof.KindMutex), other("quiet-2", bytesOf(quiet()), gopprof.KindCPU)},
	}
	e := Explain(c, around, profile.DefaultLimits())
	if want := "cpu at 94 % of its 0.5-core limit for 2 × 1 m; main.burn, mostly in sha256.Sum256, uses 91 % of the CPU, 0 % in 2 quiet pods"; e.Summary != want {
		t.Errorf("\n got %s\nwant %s", e.Summary, want)
	}
	if e.Verdict == nil || e.Verdict.Scope != gopprof.ScopePod || e.Verdict.Causes[0].Confidence != gopprof.ConfidenceSure {
		t.Errorf("%+v", e.Verdict)
	}
	if len(e.Differences) != 1 || e.Differences[0].Kind != gopprof.KindCPU || len(e.Differences[0].With) != 2 || e.Differences[0].Functions[0].Function != "main.burn" {
		t.Errorf("%+v", e.Differences)
	}
}

// Of others that cannot be read it is said, and what is left is compared.
func TestOthersThatCannotBeRead(t *testing.T) {
	c := capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, burner()))
	around := Around{Others: []Other{
		other("lost", func(gopprof.Kind) ([]byte, error) { return nil, errors.New("no such blob\n\x1b") }, gopprof.KindCPU),
		other("broken", bytesOf([]byte("<html>")), gopprof.KindCPU),
		other("empty", bytesOf(profiletest.CPU(30)), gopprof.KindCPU),
		other("negative", bytesOf(profiletest.CPU(30, on(-5, "main.f"), on(7, "main.f"))), gopprof.KindCPU),
		other("of another kind", nil, gopprof.KindHeap),
	}}
	around.Others[4], around.Others[3] = around.Others[3], around.Others[4]
	e := Explain(c, around, profile.DefaultLimits())
	said := strings.Join(e.Warnings, "\n")
	if !strings.Contains(said, "not compared with the cpu profile of pod lost: no such blob") || !strings.Contains(said, "of pod broken: ") || strings.ContainsAny(said, "\x1b") {
		t.Errorf("warnings %q", e.Warnings)
	}
	if len(e.Differences) != 0 || e.Verdict.Causes[0].Confidence != gopprof.ConfidenceLikely {
		t.Errorf("%+v, %+v", e.Differences, e.Verdict)
	}
	around.Others = append(around.Others[:2:2], other("quiet", bytesOf(quiet()), gopprof.KindCPU))
	if e := Explain(c, around, profile.DefaultLimits()); len(e.Differences) != 1 || len(e.Differences[0].With) != 1 {
		t.Errorf("%+v", e.Differences)
	}
}

// An other's profile is read beside the bytes of the capture and its own: all of them together
// take no more than one may.
func TestOthersAreReadBesideTheCapture(t *testing.T) {
	here, there := burner(), quiet()
	p, err := profile.Parse(there, profile.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	padding := make([]byte, 10_000) // of a kind that is not compared
	c := capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, here), file(gopprof.KindTrace, padding))
	around := Around{Others: []Other{other("quiet", bytesOf(there), gopprof.KindCPU)}}
	lim := profile.DefaultLimits()
	lim.MemoryBytes = p.Cost() + int64(len(here)+len(padding)+len(there))
	if e := Explain(c, around, lim); len(e.Differences) != 1 {
		t.Errorf("not compared: %q", e.Warnings)
	}
	lim.MemoryBytes--
	e := Explain(c, around, lim)
	said := strings.Join(e.Warnings, "\n")
	if len(e.Differences) != 0 || !strings.Contains(said, "not compared with the cpu profile of pod quiet: profile is too large") {
		t.Errorf("%+v, warnings %q", e.Differences, e.Warnings)
	}
	if e.Profiles[0].Reason != "" || e.Verdict == nil {
		t.Errorf("%+v", e)
	}
	lim.MemoryBytes = int64(len(padding)) // less than nothing is left
	if e := Explain(c, around, lim); len(e.Differences) != 0 || strings.Contains(strings.Join(e.Warnings, "\n"), "-") {
		t.Errorf("%+v, warnings %q", e.Differences, e.Warnings)
	}
}

// A quiet pod whose profile shows less of the program is told by the same functions.
func TestQuietPodsAreOfTheSameProgram(t *testing.T) {
	const cache = "/go/pkg/mod/github.com/"
	entry, engine, parse, list := "main.main "+cache+"i/db@v1.8.10/main.go", "github.com/i/db/engine.Run "+cache+"i/db@v1.8.10/engine/run.go",
		"github.com/a/sql.Parse "+cache+"a/sql@v1.2.3/parse.go", "github.com/i/db/engine.List "+cache+"i/db@v1.8.10/engine/list.go"
	here := profiletest.CPU(30, on(9*second, parse, engine), on(3*second, list, engine), on(second/10, entry))
	there := profiletest.CPU(30, on(3*second, parse, engine), on(second, list, engine))
	c := capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, here))
	e := Explain(c, Around{Others: []Other{other("quiet", bytesOf(there), gopprof.KindCPU)}}, profile.DefaultLimits())
	if !e.Differences[0].SameShares || e.Verdict.Causes[0].Kind != gopprof.CauseTraffic {
		t.Errorf("%+v\n%+v", e.Differences, e.Verdict)
	}
}

// Beside quiet pods that were hardly looked at nothing is sure but what they would have shown.
func TestQuietPodsHardlySeen(t *testing.T) {
	more := func(parse, handle time.Duration) []byte {
		return profiletest.CPU(30, on(int64(parse), "main.parse", "main.handle"), on(int64(handle), "main.log", "main.handle"))
	}
	idle := Around{Others: []Other{other("idle", bytesOf(more(100*time.Millisecond, 60*time.Millisecond)), gopprof.KindCPU)}}
	for name, test := range map[string]struct {
		here []byte
		kind gopprof.CauseKind
		sure gopprof.Confidence
	}{
		"more of the same":    {more(9*time.Second, 5*time.Second), gopprof.CauseTraffic, gopprof.ConfidenceUnsure},
		"rather another work": {more(11*time.Second, 3*time.Second), gopprof.CauseTraffic, gopprof.ConfidenceUnsure},
		"what is never there": {burner(), gopprof.CauseCodeHot, gopprof.ConfidenceSure},
	} {
		e := Explain(capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, test.here)), idle, profile.DefaultLimits())
		if c := e.Verdict.Causes[0]; c.Kind != test.kind || c.Confidence != test.sure {
			t.Errorf("%s: %+v", name, e.Verdict)
		}
	}
}

// When every pod is hot, it is not this pod.
func TestAllPodsAreHot(t *testing.T) {
	c := capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, burner()))
	e := Explain(c, Around{Fleet: &gopprof.Fleet{Pods: 6, Build: 6, Hot: 6}}, profile.DefaultLimits())
	if !strings.HasSuffix(e.Summary, "; all 6 pods of the workload are hot: load or a release, not this pod") || e.Verdict.Scope != gopprof.ScopeWorkload {
		t.Errorf("%s, %+v", e.Summary, e.Verdict)
	}
}

// What limits the truth of everything stands first.
func TestTheFirstLineSaysWhatItIsWorth(t *testing.T) {
	for want, change := range map[string]func(*gopprof.Capture){
		"contradicted: cpu at 94 % of its 0.5-core limit for 2 × 1 m; unsure: main.burn": func(c *gopprof.Capture) { c.Agreement.Result = gopprof.AgreementContradicted },
		"one witness: cpu at 94 % of its 0.5-core limit for 2 × 1 m; main.burn":          func(c *gopprof.Capture) { c.Agreement.Result = gopprof.AgreementSingle },
		"wrong process?: cpu at 94 % of its 0.5-core limit for 2 × 1 m; unsure: main":    func(c *gopprof.Capture) { c.CPUSeconds = 60 },
		"few samples: cpu at 94 % of its 0.5-core limit for 2 × 1 m; unsure: main.f uses": func(c *gopprof.Capture) {
			c.Profiles[0] = file(gopprof.KindCPU, profiletest.CPU(30, on(second/2, "main.f")))
		},
		"cpu at 94 % of its 0.5-core limit for 2 × 1 m; main.burn": func(*gopprof.Capture) {},
	} {
		c := capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, burner()))
		change(&c)
		if got := Explain(c, Around{}, profile.DefaultLimits()).Summary; !strings.HasPrefix(got, want) {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
}

// A capture that was taken to compare with has no cause.
func TestSiblingsHaveNoVerdict(t *testing.T) {
	c := capture(gopprof.Trigger{Kind: gopprof.TriggerSibling}, file(gopprof.KindCPU, burner()))
	if e := Explain(c, Around{}, profile.DefaultLimits()); e.Verdict != nil {
		t.Errorf("%+v", e.Verdict)
	}
}

// However many there are, a few are compared with.
func TestOthersAreBounded(t *testing.T) {
	c := capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, burner()))
	reads := 0
	many := make([]Other, 50)
	for i := range many {
		many[i] = other("quiet", func(gopprof.Kind) ([]byte, error) { reads++; return quiet(), nil }, gopprof.KindCPU)
	}
	if e := Explain(c, Around{Others: many}, profile.DefaultLimits()); reads != maxOthers || len(e.Differences[0].With) != maxOthers {
		t.Errorf("%d read, compared with %d", reads, len(e.Differences[0].With))
	}
}
