package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriteFileReplacesAsAWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, content := range []string{"first, and longer", "second", ""} {
		if err := WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, content)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, error %v, want 0640", st.Mode(), err)
	}
	wantNames(t, filepath.Dir(path), "state")
}

// A reader meets the old content or the new at every moment, and a failure at any step
// leaves the old content and no temporary file.
func TestFailureAtEachStepKeepsTheOldContent(t *testing.T) {
	broken := errors.New("the disk is broken")
	steps := map[string]func(d *disk){
		"create": func(d *disk) { d.create = func(string, string) (file, error) { return nil, broken } },
		"write":  func(d *disk) { d.create = failing(faults{write: broken}) },
		"chmod":  func(d *disk) { d.create = failing(faults{chmod: broken}) },
		"sync":   func(d *disk) { d.create = failing(faults{sync: broken}) },
		"close":  func(d *disk) { d.create = failing(faults{close: broken}) },
		"rename": func(d *disk) { d.rename = func(string, string) error { return broken } },
	}
	for name, breakIt := range steps {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			if err := WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			d := realDisk()
			breakIt(&d)
			err := d.write(path, 0o600, func(w io.Writer) error { _, err := w.Write([]byte("new")); return err })
			if !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want the disk's, with the path", err)
			}
			wantFile(t, path, "old")
			wantNames(t, filepath.Dir(path), "state")
		})
	}
}

func TestFailedDirectorySyncIsAnError(t *testing.T) {
	broken := errors.New("the disk is broken")
	d := realDisk()
	d.syncDir = func(string) error { return broken }
	err := d.write(filepath.Join(t.TempDir(), "state"), 0o600, func(io.Writer) error { return nil })
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want the disk's", err)
	}
}

// The order is the promise: content on the disk before its name, and the name before nil.
func TestOrderOfSteps(t *testing.T) {
	var steps []string
	d := realDisk()
	d.create = func(dir, pattern string) (file, error) {
		f, err := os.CreateTemp(dir, pattern)
		return &recorder{f, &steps}, err
	}
	d.rename = func(from, to string) error { steps = append(steps, "rename"); return os.Rename(from, to) }
	d.syncDir = func(string) error { steps = append(steps, "sync directory"); return nil }
	err := d.write(filepath.Join(t.TempDir(), "state"), 0o600, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"write", "sync", "close", "rename", "sync directory"}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %q, want %q", steps, want)
	}
}

func TestContentThatFailsIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	half := errors.New("no more")
	err := Write(path, 0o600, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return half
	})
	if !errors.Is(err, half) {
		t.Errorf("error %v, want the content's", err)
	}
	wantNames(t, filepath.Dir(path))
}

func TestRemoveTempsTakesOnlyTemps(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"state", ".state.tmp-123", ".hidden", "a.tmp-1", ".b.capture.tmp-9"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n, err := RemoveTemps(dir)
	if n != 2 || err != nil {
		t.Errorf("removed %d, %v, want 2", n, err)
	}
	wantNames(t, dir, ".hidden", "a.tmp-1", "state")
}

func TestRenameAndRemove(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "sub", "deeper", "b")
	if err := WriteFile(a, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Dir(b), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Rename(a, b); err != nil {
		t.Fatal(err)
	}
	wantFile(t, b, "x")
	if err := Remove(b); err != nil {
		t.Fatal(err)
	}
	if err := Remove(b); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing what is not there: %v, want fs.ErrNotExist", err)
	}
	if err := WriteFile(a, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(a, "c"), 0o700); err == nil {
		t.Error("made a directory below a file")
	}
}

func TestJSON(t *testing.T) {
	type state struct{ Cooldown map[string]int }
	path := filepath.Join(t.TempDir(), "state.json")
	var got state
	if err := ReadJSON(path, &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading what is not there: %v, want fs.ErrNotExist", err)
	}
	if err := WriteJSON(path, state{map[string]int{"a": 1}}, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ReadJSON(path, &got); err != nil || got.Cooldown["a"] != 1 {
		t.Errorf("read %v, %v", got, err)
	}
	if err := WriteFile(path, []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ReadJSON(path, &got); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("reading what is torn: %v, want an error with the path", err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v, want ErrLocked", err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(path)
	if err != nil {
		t.Fatalf("after the unlock: %v", err)
	}
	if err := again.Unlock(); err != nil {
		t.Error(err)
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v, want %q", filepath.Base(path), got, err, want)
	}
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("directory holds %q, want %q", got, want)
	}
}

// faults makes single steps of a file fail.
type faults struct{ write, chmod, sync, close error }

type faulty struct {
	*os.File
	faults
}

func failing(f faults) func(dir, pattern string) (file, error) {
	return func(dir, pattern string) (file, error) {
		under, err := os.CreateTemp(dir, pattern)
		return &faulty{under, f}, err
	}
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.write != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, f.write
	}
	return f.File.Write(p)
}

func (f *faulty) Chmod(m fs.FileMode) error { return errors.Join(f.File.Chmod(m), f.chmod) }
func (f *faulty) Sync() error               { return errors.Join(f.File.Sync(), f.sync) }
func (f *faulty) Close() error              { return errors.Join(f.File.Close(), f.close) }

type recorder struct {
	*os.File
	steps *[]string
}

func (r *recorder) Write(p []byte) (int, error) {
	*r.steps = append(*r.steps, "write")
	return r.File.Write(p)
}

func (r *recorder) Sync() error {
	*r.steps = append(*r.steps, "sync")
	return r.File.Sync()
}

func (r *recorder) Close() error {
	*r.steps = append(*r.steps, "close")
	return r.File.Close()
}
