package store_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/aggregator/store/storetest"
)

// A store is killed again and again while it writes. Whatever it said was committed is
// there, and whatever is listed is whole.
func TestFileSurvivesKill(t *testing.T) {
	b := directory(t.TempDir())
	var committed []string
	for round := range 5 {
		committed = append(committed, writeUntilKilled(t, string(b), round, 3+4*round)...)
	}
	s := start(t, b)
	page, err := s.List(t.Context(), store.Query{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, r := range page.Reports {
		listed[r.ID] = true
		for _, f := range r.Files {
			data, err := s.Read(t.Context(), f.Profile)
			if err != nil || !bytes.Equal(data, writerProfile(r.ID)) {
				t.Errorf("%s of listed report %s: %d bytes, %v", f.Profile, r.ID, len(data), err)
			}
		}
	}
	for _, id := range committed {
		if !listed[id] {
			t.Errorf("report %s was committed and is not listed", id)
		}
	}
}

func start(t *testing.T, b storetest.Bucket) *store.Store {
	t.Helper()
	s := b.Open(t, func(*store.Config) {})
	if err := s.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

const writerEnv = "GOPPROF_TEST_STORE_WRITER"

// writeUntilKilled returns the identifiers that a writing process said it committed before
// it was killed, which happens at some moment after the first few.
func writeUntilKilled(t *testing.T, dir string, round, few int) (ids []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriterProcess$")
	cmd.Env = append(os.Environ(), writerEnv+"="+strconv.Itoa(round)+":"+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		id, ok := strings.CutPrefix(lines.Text(), "committed ")
		if !ok {
			continue
		}
		if ids = append(ids, id); len(ids) == few {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(ids) < few {
		t.Fatalf("the writer ended by itself after %d reports: %v", len(ids), err)
	}
	return ids
}

func writerProfile(id string) []byte { return bytes.Repeat([]byte(id), 2000) }

// TestWriterProcess is the process that TestFileSurvivesKill kills.
func TestWriterProcess(t *testing.T) {
	round, dir, ok := strings.Cut(os.Getenv(writerEnv), ":")
	if !ok {
		t.Skip("is run by TestFileSurvivesKill only")
	}
	n, err := strconv.Atoi(round)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), config("file://"+dir), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		c := storetest.Capture(time.Now(), n*1000+i)
		for k := range c.Profiles {
			c.Profiles[k] = storetest.Profile(c.Profiles[k].Kind, writerProfile(c.ID))
		}
		r := storetest.Store(t, s, c)
		fmt.Println("committed " + r.ID)
	}
}

// Temporary files of killed writers go with a sweep a day later.
func TestFileSweepsTemporaryFiles(t *testing.T) {
	b := directory(t.TempDir())
	s := b.Open(t, func(*store.Config) {})
	b.Plant(t, ".tmp/blob-1", []byte("torn"))
	for _, c := range []struct {
		after time.Duration
		files int
	}{{0, 1}, {25 * time.Hour, 0}} {
		later(s, c.after)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if keys := b.Keys(t); len(keys) != c.files {
			t.Errorf("after %s: %v", c.after, keys)
		}
	}
}

// On file systems that know no links, a name that is taken is refused all the same.
func TestFileWithoutLinks(t *testing.T) {
	for _, refusal := range []error{os.ErrPermission, errors.ErrUnsupported} {
		b := directory(t.TempDir())
		s := b.Open(t, func(*store.Config) {})
		s.RefuseLinks(&os.LinkError{Op: "link", Err: refusal})
		c := storetest.Capture(storetest.Noon(), 1)
		r := storetest.Store(t, s, c)
		if err := s.Commit(t.Context(), r); err != nil {
			t.Errorf("the same report: %v", err)
		}
		r.Explanation.Summary = "another"
		if err := s.Commit(t.Context(), r); !errors.Is(err, store.ErrExists) {
			t.Errorf("another report: %v, want ErrExists", err)
		}
		if keys := b.Keys(t); len(keys) != 5 {
			t.Errorf("files: %v", keys)
		}
	}
}

// Profiles tell about a service's inside: nobody else on the machine may read them.
func TestFilePermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "store")
	s := directory(dir).Open(t, func(*store.Config) {})
	storetest.Store(t, s, storetest.Capture(storetest.Noon(), 1))
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestFileOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"file", "file/below"} {
		if _, err := store.Open(t.Context(), config("file://"+dir+"/"+path), zap.NewNop(), prometheus.NewRegistry()); err == nil {
			t.Errorf("%s was opened as a directory", path)
		}
	}
}
