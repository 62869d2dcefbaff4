package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	agent "github.com/gopprof/gopprof/agent/app"
	aggregator "github.com/gopprof/gopprof/aggregator/app"
	"github.com/gopprof/gopprof/docs/gen/configdoc"
	"github.com/gopprof/gopprof/pkg/config"
)

// TestTheReferencesReadBackAsTheDefaults reads each program's reference over nothing.
// Checks may miss what has no default; what was read must be the defaults.
func TestTheReferencesReadBackAsTheDefaults(t *testing.T) {
	for _, c := range []struct{ defaults, into any }{
		{agentDefaults(), new(agent.Config)},
		{aggregator.DefaultConfig(), new(aggregator.Config)},
	} {
		text, err := configdoc.Write("../..", module, c.defaults)
		if err != nil {
			t.Fatal(err)
		}
		var mistakes config.Errors
		if err := config.Parse("reference", text, c.into); err != nil && !errors.As(err, &mistakes) {
			t.Fatal(err)
		}
		again, err := configdoc.Write("../..", module, reflect.ValueOf(c.into).Elem().Interface())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(text, again) {
			t.Errorf("%T reads back as:\n%s\nmistakes:\n%v", c.defaults, again, mistakes)
		}
	}
}

// TestTheProtocolIsUpToDate: the documents that others build upon are what is generated, as
// `make verify-docs` asks of all.
func TestTheProtocolIsUpToDate(t *testing.T) {
	if err := putNATS("../..", true); err != nil {
		t.Errorf("run `make update-docs`: %v", err)
	}
}

func TestWhatNothingWritesIsSwept(t *testing.T) {
	dir := t.TempDir()
	old, kept := filepath.Join(dir, "old.json"), filepath.Join(dir, "kept.json")
	for _, path := range []string{old, kept} {
		if err := put(path, []byte("{}"), false); err != nil {
			t.Fatal(err)
		}
	}
	written := map[string][]byte{kept: nil}
	if err := sweep(dir, written, true); err == nil || !strings.Contains(err.Error(), "old.json is written by nothing") {
		t.Error(err)
	}
	if err := sweep(dir, written, false); err != nil {
		t.Error(err)
	}
	if err := sweep(dir, written, true); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func TestCheckWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.md")
	if err := put(path, []byte("a\nb\n"), true); err == nil || !strings.Contains(err.Error(), "out of date, first at line 1") {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := put(path, []byte("a\nb\n"), false); err != nil {
		t.Error(err)
	}
	if err := put(path, []byte("a\nb\n"), true); err != nil {
		t.Error(err)
	}
	if err := put(path, []byte("a\nc\n"), true); err == nil || !strings.Contains(err.Error(), "first at line 2") {
		t.Error(err)
	}
}
