package store

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/explain"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// What the index holds of a report does not grow with its History.
func TestTheIndexHoldsNoHistory(t *testing.T) {
	r := gopprof.Report{Version: gopprof.ReportVersion, ID: someID}
	bare, err := newEntry(r)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 11, 14, 12, 0, 0, 0, time.UTC)
	for range gopprof.MaxHistory {
		at = at.Add(10 * time.Second)
		r.Capture.History.Local = append(r.Capture.History.Local, gopprof.Point{Start: at.Add(-10 * time.Second), End: at, HasCPU: true, CPUCores: rnd.Float64()})
	}
	full, err := newEntry(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(full.packed) != len(bare.packed) {
		t.Errorf("%d bytes, without a history %d", len(full.packed), len(bare.packed))
	}
	if len(r.Capture.History.Local) != gopprof.MaxHistory {
		t.Error("the caller's report was changed")
	}
}

// What the index holds of a report does not grow with what its profiles say: a thousand of a
// hostile target's are held for as long as the process lives.
func TestTheIndexHoldsNoProfiles(t *testing.T) {
	const most = 4 << 10 // bytes of an entry; a genuine one has some 800
	for seed := range uint64(3) {
		r := verboseReport(seed)
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) < 250<<10 {
			t.Fatalf("report.json of %d bytes: not verbose", len(data))
		}
		e, err := newEntry(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(e.packed) > most {
			t.Errorf("%d bytes in the index, of a report.json of %d; want %d at most", len(e.packed), len(data), most)
		}
		listed, err := e.report()
		if err != nil {
			t.Fatal(err)
		}
		if data := written(t, listed); len(data) > 2*most {
			t.Errorf("%d bytes in a list, want %d at most", len(data), 2*most)
		}
	}
}

// verboseReport is the report of a capture whose profiles have as much to say as they can, of
// every kind and beside a quiet pod: names and paths as long as they are kept, which nothing
// compresses.
func verboseReport(seed uint64) gopprof.Report {
	random := rand.New(rand.NewPCG(seed, 1))
	c := gopprof.Capture{ID: someID, Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule, Evidence: &gopprof.Evidence{Resource: gopprof.ResourceMemory}}}
	quiet := gopprof.Report{}
	read := map[gopprof.Kind][]byte{}
	for kind, sample := range map[gopprof.Kind][2]string{
		gopprof.KindCPU: {"cpu", "nanoseconds"}, gopprof.KindHeap: {"inuse_space", "bytes"}, gopprof.KindAllocs: {"alloc_space", "bytes"},
		gopprof.KindGoroutine: {"goroutine", "count"}, gopprof.KindMutex: {"delay", "nanoseconds"}, gopprof.KindBlock: {"delay", "nanoseconds"},
		gopprof.KindThreadcreate: {"threadcreate", "count"},
	} {
		names := verboseNames(random)
		c.Profiles = append(c.Profiles, gopprof.Profile{Kind: kind, Bytes: verboseProfile(sample, names, 1<<30)})
		quiet.Capture.Profiles = append(quiet.Capture.Profiles, gopprof.Profile{Kind: kind})
		read[kind] = verboseProfile(sample, names, 1<<10)
	}
	around := explain.Around{Others: []explain.Other{{Report: quiet, Read: func(k gopprof.Kind) ([]byte, error) { return read[k], nil }}}}
	r := gopprof.Report{Version: gopprof.ReportVersion, ID: c.ID, Capture: c, Explanation: explain.Explain(c, around, profile.DefaultLimits())}
	for i := range r.Capture.Profiles {
		r.Capture.Profiles[i].Bytes = nil
	}
	return r
}

const (
	verboseFunctions = 60 // more than are told of a profile
	verboseCallers   = 20 // those of them that call all others
)

func verboseNames(random *rand.Rand) (names []string) {
	for range 2 * verboseFunctions {
		name := make([]byte, 500)
		for i := range name {
			name[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[random.IntN(64)]
		}
		names = append(names, string(name))
	}
	return names
}

// verboseProfile is a profile of functions of those names in files of the others, with a stack
// of each that calls nothing, all of one weight.
func verboseProfile(sample [2]string, names []string, weight uint64) []byte {
	type m = profiletest.Message
	b := m{}.Text(profiletest.String, "").Text(profiletest.String, sample[0]).Text(profiletest.String, sample[1]).
		Bytes(profiletest.SampleType, m{}.Varint(1, 1).Varint(2, 2))
	var callers []uint64
	for i := range uint64(verboseFunctions) {
		name, file := 2*i+3, 2*i+4 // places in the table of strings
		b = b.Text(profiletest.String, "main."+names[2*i]).Text(profiletest.String, "/"+names[2*i+1]).
			Bytes(profiletest.Function, m{}.Varint(1, i+1).Varint(2, name).Varint(3, name).Varint(4, file)).
			Bytes(profiletest.Location, m{}.Varint(1, i+1).Bytes(profiletest.LocationLine, m{}.Varint(1, i+1)))
		if i < verboseCallers {
			callers = append([]uint64{i + 1}, callers...)
			continue
		}
		stack := append([]uint64{i + 1}, callers...) // the leaf first
		b = b.Bytes(profiletest.Sample, m{}.Packed(profiletest.SampleLocation, stack...).Packed(profiletest.SampleValue, weight))
	}
	return profiletest.Gzip(b)
}
