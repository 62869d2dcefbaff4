// Package storetest is the contract that every backend of aggregator/store passes: a
// directory, memory, a real S3 server. Backends enter; what a backend does otherwise than
// the store promises fails a test.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// Bucket is one bucket of a backend, as a test needs it.
type Bucket interface {
	// Open opens a store on the bucket: a second one sees what the first one stored, as
	// another aggregator would, or the same after a restart.
	Open(t *testing.T, configure func(*store.Config)) *store.Store
	// Plant writes a blob behind the store's back.
	Plant(t *testing.T, key string, data []byte)
	// Keys returns the keys of all blobs, sorted, temporary files included.
	Keys(t *testing.T) []string
}

// Run runs the contract; each test gets an empty bucket.
func Run(t *testing.T, newBucket func(t *testing.T) Bucket) {
	for name, test := range map[string]func(*testing.T, Bucket){
		"bytes are kept as they came":             keepsBytes,
		"storing again":                           storesAgain,
		"writers at once":                         writersAtOnce,
		"drawings":                                drawings,
		"picture of the evidence":                 picture,
		"commit is the mark":                      commitMark,
		"identifier of another's report":          identifierOfAnother,
		"the index is its own":                    indexIsItsOwn,
		"history":                                 history,
		"a list shows a line of each":             linesOfLists,
		"commits at once":                         commitsAtOnce,
		"what cannot be stored":                   refuses,
		"hostile names":                           hostileNames,
		"report by its identifier":                reportByID,
		"only own keys are read":                  readsOwnKeys,
		"list from the store":                     listFromStore,
		"list from the index":                     listFromIndex,
		"list from both":                          listFromBoth,
		"list while reports arrive":               listWhileArriving,
		"list with a bad cursor":                  listBadCursor,
		"list a long empty time":                  listLongEmpty,
		"restart":                                 restart,
		"broken report":                           brokenReport,
		"another aggregator":                      anotherAggregator,
		"retention by age":                        retentionByAge,
		"retention by bytes":                      retentionByBytes,
		"sweeping leaves what is not the store's": sweepLeavesForeign,
		"prefix":                                  prefix,
	} {
		t.Run(name, func(t *testing.T) { test(t, newBucket(t)) })
	}
}

func open(t *testing.T, b Bucket) *store.Store {
	t.Helper()
	return b.Open(t, func(*store.Config) {})
}

// start opens a store and runs it until the test ends; it returns when it is ready.
func start(t *testing.T, b Bucket, configure func(*store.Config)) *store.Store {
	t.Helper()
	s := b.Open(t, configure)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	poll.Until(t, "store is ready", func() bool { return s.Ready() == nil })
	return s
}

// ID makes an identifier as a capture decided at a time has; n tells those of one
// millisecond apart.
func ID(at time.Time, n int) string {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return fmt.Sprintf("%s-%s-7%03x-8000-%012x", ms[:8], ms[8:], n%0x1000, n)
}

// Noon is a moment that tests reckon from.
func Noon() time.Time { return time.Date(2026, 11, 14, 12, 0, 0, 0, time.UTC) }

// Capture makes a capture decided at a time, with a CPU and a heap profile.
func Capture(at time.Time, n int) gopprof.Capture {
	c := gopprof.Capture{
		ID:       ID(at, n),
		Incident: ID(at.Truncate(time.Hour), 1),
		Trigger:  gopprof.Trigger{Kind: gopprof.TriggerManual, At: at, Request: &gopprof.Request{Who: "test"}},
		Target: gopprof.Target{
			Cluster: "prod", Node: "node-1", Namespace: "shop",
			Workload: gopprof.Workload{Kind: "Deployment", Name: "checkout"},
			Pod:      "checkout-6d5f7c9b8-x2x4z", PodUID: "0f3c", Container: "app",
			Endpoint: gopprof.Endpoint{Scheme: "http", Host: "10.0.0.1", Port: 6060, Path: "/debug/pprof"},
		},
		Start: at.Add(time.Second), End: at.Add(31 * time.Second), CPUSeconds: 12.5,
	}
	for _, k := range []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap} {
		c.Profiles = append(c.Profiles, Profile(k, fmt.Appendf(nil, "%s of %s", k, c.ID)))
	}
	return c
}

// Profile makes a profile of bytes.
func Profile(k gopprof.Kind, data []byte) gopprof.Profile {
	sum := sha256.Sum256(data)
	return gopprof.Profile{Kind: k, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Bytes: data}
}

// Store puts a capture's profiles, drawings of them, and commits the report of it.
func Store(t *testing.T, s *store.Store, c gopprof.Capture) gopprof.Report {
	t.Helper()
	r := Put(t, s, c)
	if err := s.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// Put stores what a report needs and returns the report, not committed.
func Put(t *testing.T, s *store.Store, c gopprof.Capture) gopprof.Report {
	t.Helper()
	r := gopprof.Report{Version: gopprof.ReportVersion, ID: c.ID, Capture: withoutBytes(c), MadeAt: c.End}
	r.Explanation.Summary = "burns in " + c.ID
	if len(c.Profiles) > 1 { // what of one kind alone is said of nothing
		cause := gopprof.CauseKinds()[len(c.Target.Pod)%3]
		r.Explanation.Verdict = &gopprof.Verdict{Causes: []gopprof.Cause{{Kind: cause}, {Kind: gopprof.CauseTraffic}}}
	}
	for _, p := range c.Profiles {
		key, err := s.PutProfile(t.Context(), c, p)
		if err != nil {
			t.Fatal(err)
		}
		drawing, err := s.PutDrawing(t.Context(), c, p.Kind, []byte("<svg>"+c.ID+"</svg>"))
		if err != nil {
			t.Fatal(err)
		}
		r.Files = append(r.Files, gopprof.File{Kind: p.Kind, Profile: key, Drawing: drawing})
	}
	return r
}

func withoutBytes(c gopprof.Capture) gopprof.Capture {
	c.Profiles = slices.Clone(c.Profiles)
	for i := range c.Profiles {
		c.Profiles[i].Bytes = nil
	}
	return c
}

func ids(reports []gopprof.Report) []string {
	var list []string
	for _, r := range reports {
		list = append(list, r.ID)
	}
	return list
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func reads(t *testing.T, s *store.Store, key string, want []byte) {
	t.Helper()
	got, err := s.Read(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s holds %d bytes, want the %d that were stored", key, len(got), len(want))
	}
}

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
