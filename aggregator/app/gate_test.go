package app

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/gopprof/gopprof/aggregator/explain"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// Captures that are explained at the same time, and groups that are merged, do not have a large
// profile each in memory; small ones go on beside.
func TestLargeProfilesWaitForEachOther(t *testing.T) {
	cpuOf := func(stacks int) []byte {
		all := make([]profiletest.Stack, stacks)
		for i := range all {
			all[i] = profiletest.On(1e7, fmt.Sprint("main.f", i%1000), fmt.Sprint("main.g", i))
		}
		return profiletest.CPU(30, all...)
	}
	large, small := cpuOf(20_000), cpuOf(10)
	captured := func(data []byte) gopprof.Capture {
		return gopprof.Capture{ID: "c", Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU, Bytes: data, SizeBytes: int64(len(data))}}}
	}
	for name, beside := range map[string]struct {
		work  func(t *testing.T, gate *profile.Gate)
		waits bool
	}{
		"a large one": {func(t *testing.T, gate *profile.Gate) {
			if said, _ := explaining(gate)(captured(large), explain.Around{}); said.Profiles[0].Reason != "" {
				t.Errorf("explained %+v", said.Profiles)
			}
		}, true},
		"a small one": {func(t *testing.T, gate *profile.Gate) {
			if said, _ := explaining(gate)(captured(small), explain.Around{}); said.Profiles[0].Reason != "" {
				t.Errorf("explained %+v", said.Profiles)
			}
		}, false},
		"a group of large ones": {func(t *testing.T, gate *profile.Gate) {
			if _, err := newGroups(&profileShelf{data: large}, gate).MergedProfile(t.Context(), endedOperation("g"), gopprof.KindCPU); err != nil {
				t.Error(err)
			}
		}, true},
		"a group of small ones": {func(t *testing.T, gate *profile.Gate) {
			if _, err := newGroups(&profileShelf{data: small}, gate).MergedProfile(t.Context(), endedOperation("g"), gopprof.KindCPU); err != nil {
				t.Error(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := profile.NewGate()
				reading, goOn := make(chan struct{}), make(chan struct{})
				before := gopprof.Capture{ID: "b", Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU}}}
				first := explain.Around{Others: []explain.Other{{Report: gopprof.Report{Capture: before}, Read: func(gopprof.Kind) ([]byte, error) {
					close(reading)
					<-goOn
					return nil, context.Canceled
				}}}}
				go func() { explaining(gate)(captured(large), first) }()
				<-reading
				done := make(chan struct{})
				go func() {
					defer close(done)
					beside.work(t, gate)
				}()
				synctest.Wait()
				select {
				case <-done:
					if beside.waits {
						t.Error("did not wait")
					}
				default:
					if !beside.waits {
						t.Error("waits")
					}
				}
				close(goOn)
				<-done
			})
		})
	}
}
