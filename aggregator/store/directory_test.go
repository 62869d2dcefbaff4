package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A directory that is removed as empty between its making and its use is made again.
func TestInDirectoryMakesItAgain(t *testing.T) {
	w := newWriter(t)
	dir := filepath.Join(w.root, "a", "b")
	file := filepath.Join(dir, "c")
	removals := 0
	err := w.inDirectory(dir, func() error {
		if removals++; removals < 4 {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		}
		return os.WriteFile(file, nil, 0o600)
	})
	if err != nil || removals != 4 {
		t.Errorf("after %d removals: %v", removals, err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func newWriter(t *testing.T) *fileWriter {
	t.Helper()
	w, err := newFileWriter(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// steps has a writer note what it syncs and links, and what is under a name at that moment.
func steps(w *fileWriter, key string) *[]string {
	var all []string
	note := func(step string) {
		there, err := os.ReadFile(w.path(key))
		if err != nil {
			there = []byte("nothing")
		}
		all = append(all, fmt.Sprintf("%s: %s", step, there))
	}
	w.hardLink = func(tmp, path string) error { note("link"); return os.Link(tmp, path) }
	w.sync = func(f *os.File) error {
		what, _ := filepath.Rel(w.root, f.Name())
		if strings.HasPrefix(what, tmpFolder+"/") {
			data, _ := os.ReadFile(f.Name())
			what = "file of " + string(data)
		}
		note("sync " + what)
		return f.Sync()
	}
	return &all
}

// Power may fail at any moment: a file has its bytes on the disk before it has its name, and what
// was reported as written or removed is so on the disk.
func TestOrderOfSyncs(t *testing.T) {
	const key = "a/b/c"
	w := newWriter(t)
	for _, c := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"create", func() error { return w.create(t.Context(), key, []byte("one"), "") },
			[]string{"sync file of one: nothing", "sync .: nothing", "sync a: nothing", "link: nothing", "sync a/b: one"}},
		{"replace", func() error { return w.replace(t.Context(), key, []byte("two"), "") }, []string{"sync file of two: one", "sync a/b: two"}},
		{"remove", func() error { return w.remove(t.Context(), key) }, []string{"sync a/b: nothing"}},
	} {
		got := steps(w, key)
		if err := c.do(); err != nil || !slices.Equal(*got, c.want) {
			t.Errorf("%s: %q, %v\nwant %q", c.name, *got, err, c.want)
		}
	}
}

// What cannot be synced is not reported as written; what has no bytes on the disk has no name.
func TestSyncsThatFail(t *testing.T) {
	broken := errors.New("the disk is broken")
	for _, of := range []string{"file", "directory"} {
		w := newWriter(t)
		w.sync = func(f *os.File) error {
			if (filepath.Dir(f.Name()) == w.tmp()) == (of == "file") {
				return broken
			}
			return f.Sync()
		}
		if err := w.create(t.Context(), "c", []byte("one"), ""); !errors.Is(err, broken) {
			t.Errorf("sync of the %s: %v, want the disk's error", of, err)
		}
		if _, err := os.Stat(w.path("c")); of == "file" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it has its name: %v", err)
		}
		if left, _ := os.ReadDir(w.tmp()); len(left) > 0 {
			t.Errorf("sync of the %s: %v left", of, left)
		}
	}
}
