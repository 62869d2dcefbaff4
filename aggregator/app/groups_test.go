package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// profileShelf holds the same profile in every report, and counts how often it is read.
type profileShelf struct {
	data []byte
	read int
}

func (s *profileShelf) Report(_ context.Context, id string) (gopprof.Report, error) {
	return gopprof.Report{ID: id, Files: []gopprof.File{{Kind: gopprof.KindCPU, Profile: id}}}, nil
}

func (s *profileShelf) Read(context.Context, string) ([]byte, error) {
	s.read++
	return s.data, nil
}

// endedOperation is one of a pod whose CPU profile is stored.
func endedOperation(id string) gopprof.Operation {
	return gopprof.Operation{
		ID: id, Asked: gopprof.Manual{Kinds: []gopprof.Kind{gopprof.KindCPU}},
		Captures: []gopprof.OperationCapture{{State: gopprof.CaptureStored, Report: id, Target: gopprof.Target{Pod: "web-1"}}},
	}
}

// incompressible is a CPU profile of about so many bytes, of functions that a target may name
// as it likes.
func incompressible(size int) []byte {
	const nameBytes = 10_000
	r := rand.New(rand.NewPCG(1, 1))
	type message = profiletest.Message
	m := message{}.Text(profiletest.String, "").Text(profiletest.String, "cpu").Text(profiletest.String, "nanoseconds")
	m = m.Bytes(profiletest.SampleType, message{}.Varint(1, 1).Varint(2, 2))
	for i := range uint64(size / nameBytes) {
		name := make([]byte, nameBytes)
		for j := range name {
			name[j] = byte(r.Uint32())
		}
		m = m.Bytes(profiletest.String, name)
		m = m.Bytes(profiletest.Function, message{}.Varint(1, i+1).Varint(2, i+3))
		m = m.Bytes(profiletest.Location, message{}.Varint(1, i+1).Bytes(profiletest.LocationLine, message{}.Varint(1, i+1)))
		m = m.Bytes(profiletest.Sample, message{}.Packed(profiletest.SampleLocation, i+1).Packed(profiletest.SampleValue, 10_000_000))
	}
	return profiletest.Gzip(m)
}

// TestKeptGroupsAreBounded: what is kept of operations that have ended is bounded in bytes, of
// whatever a target makes its profiles; one that is larger is given, and not kept.
func TestKeptGroupsAreBounded(t *testing.T) {
	for _, c := range []struct {
		size, operations, kept int
	}{
		{1000_000, 3, 3},
		{1000, 12, maxKeptGroups},
		{maxKeptBytes/4 - 100_000, 6, 4},
		{maxKeptBytes + 200_000, 2, 0},
	} {
		t.Run(fmt.Sprint(c.size, " bytes"), func(t *testing.T) {
			shelf := &profileShelf{data: incompressible(max(c.size, 10_000))}
			g := newGroups(shelf, profile.NewGate())
			for i := range c.operations {
				got, err := g.MergedProfile(t.Context(), endedOperation(fmt.Sprint(i)), gopprof.KindCPU)
				if err != nil || len(got) < c.size*9/10 {
					t.Fatalf("operation %d: %d bytes, %v", i, len(got), err)
				}
			}
			held := 0
			for _, k := range *g.kept {
				held += cap(k.result.Profile)
			}
			if len(*g.kept) != c.kept || held > maxKeptBytes {
				t.Errorf("%d are kept and hold %d bytes, want %d and at most %d bytes", len(*g.kept), held, c.kept, maxKeptBytes)
			}
			shelf.read = 0
			for i := range c.operations {
				if _, err := g.MergedProfile(t.Context(), endedOperation(fmt.Sprint(c.operations-1-i)), gopprof.KindCPU); err != nil {
					t.Fatal(err)
				}
				if i < c.kept && shelf.read > 0 {
					t.Errorf("the newest operation but %d was merged again", i)
				}
			}
			if c.kept < c.operations && shelf.read == 0 {
				t.Error("nothing was merged again")
			}
		})
	}
}

// hungShelf is a store that answers no read, once.
type hungShelf struct {
	profileShelf
	hung bool
}

func (s *hungShelf) Read(ctx context.Context, key string) ([]byte, error) {
	if s.hung {
		return s.profileShelf.Read(ctx, key)
	}
	s.hung = true
	<-ctx.Done()
	return nil, ctx.Err()
}

// A store that hangs costs who asks for a group an answer, and not those who ask after them;
// what was made without the profile is not kept.
func TestMergeOnAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroups(&hungShelf{profileShelf: profileShelf{data: profiletest.CPU(30, profiletest.On(1e7, "main.f"))}}, profile.NewGate())
		for range 2 {
			if _, err := g.MergedProfile(t.Context(), endedOperation("a"), gopprof.KindCPU); err != nil {
				if gopprof.ReasonOf(err) != gopprof.ReasonTimeout {
					t.Errorf("%v", err)
				}
				continue
			}
			if len(*g.kept) != 1 {
				t.Errorf("%d are kept", len(*g.kept))
			}
			return
		}
		t.Error("no answer at all")
	})
}
