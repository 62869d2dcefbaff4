package store_test

import (
	"fmt"
	"io/fs"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/aggregator/store/storetest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// A store that refuses overwrites (a retention policy, an immutable file) keeps the drawing
// of a worker that died, and files that are old: they are of the same capture, and as good.
// The capture would else be tried again for ever.
func TestStoreThatRefusesOverwrites(t *testing.T) {
	stores := map[string]func(t *testing.T) *store.Store{
		"s3": func(t *testing.T) *store.Store { return startFakeS3(t, &fakeS3{writeOnce: true}, zap.NewNop()) },
		"file": func(t *testing.T) *store.Store {
			s := directory(t.TempDir()).Open(t, func(*store.Config) {})
			s.FailReplace(func(key string) error { return fmt.Errorf("%s: %w", key, fs.ErrPermission) })
			return s
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			c := storetest.Capture(time.Now(), 1)
			r := storetest.Put(t, s, c)
			if _, err := s.PutDrawing(t.Context(), r.Capture, gopprof.KindCPU, []byte("<svg>one</svg>")); err != nil {
				t.Fatal(err)
			}
			key, err := s.PutDrawing(t.Context(), r.Capture, gopprof.KindCPU, []byte("<svg>another dot</svg>"))
			if err != nil {
				t.Fatalf("a drawing made anew: %v", err)
			}
			first, err := s.Read(t.Context(), key)
			if err != nil || len(first) == 0 || string(first) == "<svg>another dot</svg>" {
				t.Errorf("%q, %v: want the first drawing", first, err)
			}
			later(s, 13*time.Hour)
			for _, p := range c.Profiles {
				if _, err := s.PutProfile(t.Context(), c, p); err != nil {
					t.Errorf("%s again, half a day later: %v", p.Kind, err)
				}
			}
			if err := s.Commit(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
}

// A replacement that fails for another reason is tried again: it may pass.
func TestReplacementThatFails(t *testing.T) {
	s := directory(t.TempDir()).Open(t, func(*store.Config) {})
	r := storetest.Put(t, s, storetest.Capture(time.Now(), 1))
	s.FailReplace(func(string) error { return fmt.Errorf("input/output error") })
	if _, err := s.PutDrawing(t.Context(), r.Capture, gopprof.KindCPU, []byte("<svg>another dot</svg>")); err == nil {
		t.Error("a drawing was not written, and that is called stored")
	}
	s.FailReplace(nil)
	if _, err := s.PutDrawing(t.Context(), r.Capture, gopprof.KindCPU, []byte("<svg>another dot</svg>")); err != nil {
		t.Error(err)
	}
}
