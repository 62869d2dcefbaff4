package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/aggregator/store/storetest"
	"github.com/gopprof/gopprof/test/poll"
)

// A store that refuses deletions (a retention policy, credentials without that right) keeps
// reports all the same: it is ready, and that it refuses is said once, and counted where it
// is to be swept.
func TestStoreThatRefusesDeletions(t *testing.T) {
	for name, x := range map[string]struct {
		sweep   bool
		level   zapcore.Level
		counted float64
	}{
		"swept by another": {false, zapcore.InfoLevel, 0},
		"swept by us":      {true, zapcore.ErrorLevel, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := memblob.OpenBucket(nil)
			core, logs := observer.New(zapcore.InfoLevel)
			cfg := config("mem://")
			cfg.Sweep = x.sweep
			s := store.OpenOver(bucket, cfg, zap.New(core))
			report := storetest.Store(t, s, storetest.Capture(storetest.Noon(), 1))
			s.FailRemove(func(string) error { return errors.New("403 retentionPolicyNotMet") })
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			poll.Until(t, "the store is ready", func() bool { return s.Ready() == nil })
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			page, err := s.List(t.Context(), store.Query{})
			if err != nil || len(page.Reports) != 1 || page.Reports[0].ID != report.ID {
				t.Errorf("listed %d reports, %v; want the one", len(page.Reports), err)
			}
			said := logs.FilterMessageSnippet("store refuses to delete").All()
			if len(said) != 1 || said[0].Level != x.level || !strings.Contains(fmt.Sprint(said[0].ContextMap()["error"]), "retentionPolicyNotMet") {
				t.Errorf("said: %v, want once, as %s, with the store's own words", said, x.level)
			}
			if got := s.Failures("delete_trial"); got != x.counted {
				t.Errorf("%v failures counted, want %v", got, x.counted)
			}
		})
	}
}

// A start that is tried again, since the store cannot be listed yet, leaves no blob with each
// try where none can be deleted, and says no more of it.
func TestTrialsThatStay(t *testing.T) {
	testBuckets(t, func(t *testing.T, b storetest.Bucket) {
		s := b.Open(t, func(c *store.Config) { c.Sweep = false })
		s.FailRemove(func(string) error { return errors.New("403 retentionPolicyNotMet") })
		for range 3 {
			if err := s.Fill(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if keys := b.Keys(t); len(keys) != 1 || !strings.HasPrefix(keys[0], "gopprof-trial-") {
			t.Errorf("blobs of trials: %q, want one", keys)
		}
	})
}

// A bucket that refuses overwrites and deletions, conditional or not, keeps reports.
func TestS3ThatRefusesOverwritesAndDeletions(t *testing.T) {
	for name, f := range map[string]*fakeS3{
		"conditions are looked at first": {writeOnce: true, keeps: true},
		"the policy is":                  {writeOnce: true, keeps: true, unconditional: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := startFakeS3(t, f, zap.NewNop())
			for range 2 {
				if err := s.Fill(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if len(f.blobs) != 1 {
				t.Errorf("%d blobs of trials, want 1", len(f.blobs))
			}
		})
	}
}

// Google's 403 is "not found" for the driver: a blob that may not be deleted is not one that
// is gone.
func TestGoogleRefusesDeletions(t *testing.T) {
	there := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case !there:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"code":404,"message":"No such object"}}`)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"error":{"code":403,"message":"retentionPolicyNotMet"}}`)
		default:
			fmt.Fprint(w, `{"kind":"storage#object","name":"a","bucket":"b","size":"1","updated":"2026-11-14T12:00:00Z"}`)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("STORAGE_EMULATOR_HOST", server.Listener.Addr().String())
	bucket, err := blob.OpenBucket(t.Context(), "gs://b?anonymous=true")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bucket.Close() })
	s := store.OpenOver(bucket, config("gs://b"), zap.NewNop())
	if err := s.Remove(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "retentionPolicyNotMet") {
		t.Errorf("a deletion that was refused: %v", err)
	}
	there = false
	if err := s.Remove(t.Context(), "a"); err != nil {
		t.Errorf("of a blob that is not there: %v", err)
	}
}
