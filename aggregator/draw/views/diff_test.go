package views

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/genuine"
	"github.com/gopprof/gopprof/test/poll"
)

var hoard [][]byte

//go:noinline
func grow() { hoard = append(hoard, make([]byte, 8<<20)) }

// heap is a genuine heap profile of this process.
func heap(t *testing.T) []byte {
	t.Helper()
	runtime.GC() // it shows what was there two collections ago, and the next one is Of's
	return genuine.Of(gopprof.KindHeap)
}

// TestDifference: it is that of `go tool pprof -diff_base`, in sign and figures.
func TestDifference(t *testing.T) {
	before := heap(t)
	grow()
	after := heap(t)
	hoard = nil
	fewer, more := profiletest.On(3<<20, "main.shrinks", "main.main"), profiletest.On(9<<20, "main.grows", "main.main")
	for name, test := range map[string]struct {
		kind        gopprof.Kind
		data, base  []byte
		has, hasNot string
	}{
		"heap that grew":   {gopprof.KindHeap, after, before, "views.grow", ""},
		"heap that shrank": {gopprof.KindHeap, before, after, "-8", ""},
		"cpu":              {gopprof.KindCPU, burn(25, 300*time.Millisecond), burn(20, 100*time.Millisecond), "fibonacci", ""},
		"both ways": {gopprof.KindHeap, profiletest.Heap(more, profiletest.On(1<<20, "main.shrinks", "main.main")),
			profiletest.Heap(fewer, profiletest.On(1<<20, "main.grows", "main.main")), "-2MB", ""},
		"the same":        {gopprof.KindHeap, profiletest.Heap(fewer), profiletest.Heap(fewer), "", "main.shrinks"},
		"against nothing": {gopprof.KindHeap, profiletest.Heap(fewer), profiletest.Heap(), "main.shrinks", ""},
		"nothing against": {gopprof.KindHeap, profiletest.Heap(), profiletest.Heap(fewer), "-3MB", ""},
	} {
		t.Run(name, func(t *testing.T) {
			vs := newViews(t, "view-worker", nil)
			v := of("a", test.kind, test.data)
			v.Base = file(test.base)
			html, err := vs.Page(t.Context(), v, "top", "")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			path, base := filepath.Join(dir, "profile.pb.gz"), filepath.Join(dir, "base.pb.gz")
			for path, data := range map[string][]byte{path: test.data, base: test.base} {
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, want := rows(t, html), toolRows(goTool(t, "-top", "-nodecount=500", "-diff_base="+base, path))
			if !slices.Equal(got, want) {
				t.Errorf("the page says\n%s\ngo tool pprof\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			all := strings.Join(got, "\n")
			if !strings.Contains(all, test.has) || test.hasNot != "" && strings.Contains(all, test.hasNot) {
				t.Errorf("rows:\n%s", all)
			}
			if _, err := vs.Page(t.Context(), v, "flamegraph", ""); err != nil {
				t.Error(err)
			}
			if _, err := vs.Page(t.Context(), v, "peek", ""); err != nil && len(got) > 0 {
				t.Error(err)
			}
		})
	}
}

// rows are those of a top page: flat, cum, name.
func rows(t *testing.T, html []byte) (out []string) {
	t.Helper()
	_, list, _ := bytes.Cut(html[bytes.LastIndex(html, []byte("makeTopTable(")):], []byte(","))
	var items []struct{ Name, InlineLabel, FlatFormat, CumFormat string }
	if err := json.NewDecoder(bytes.NewReader(list)).Decode(&items); err != nil {
		t.Fatal(err)
	}
	for _, i := range items {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", i.FlatFormat, i.CumFormat, i.Name, i.InlineLabel)))
	}
	return out
}

var toolRow = regexp.MustCompile(`(?m)^ *(\S+) +\S+ +\S+ +(\S+) +\S+  (.+)$`)

func toolRows(text string) (out []string) {
	_, table, _ := strings.Cut(text, "flat  flat%")
	for _, m := range toolRow.FindAllStringSubmatch(table, -1) {
		if m[1] == "sum%" {
			continue
		}
		out = append(out, m[1]+" "+m[2]+" "+m[3])
	}
	return out
}

// While a view's process reads its two files they are there and nowhere else: together with what
// it may have itself, they would be more than a target may cost.
func TestFilesAreHeldOnce(t *testing.T) {
	vs := newViews(t, "worker-that-opens-never", nil)
	var sum, gone atomic.Int64 // bytes
	read := func(context.Context) ([]byte, error) {
		file := make([]byte, 12<<20)
		// Not a weak pointer: whoever looks at one while garbage is collected keeps it alive.
		runtime.AddCleanup(&file[0], func(size int64) { gone.Add(size) }, int64(len(file)))
		sum.Add(int64(len(file)))
		return file, nil
	}
	what := View{Key: "a", Kind: gopprof.KindCPU, Profile: read, Base: read}
	before := allocated()
	ended := make(chan error, 1)
	go func() {
		_, err := vs.Page(context.WithoutCancel(t.Context()), what, "top", "")
		ended <- err
	}()
	poll.Until(t, "both files are read and given away", func() bool { return sum.Load() == 24<<20 && gone.Load() == 24<<20 })
	if more := allocated() - before - uint64(sum.Load()); more > 8<<20 {
		t.Errorf("%d bytes were taken beside two files of %d", more, sum.Load())
	}
	vs.Close()
	if err := <-ended; gopprof.ReasonOf(err) != gopprof.ReasonCancelled {
		t.Errorf("%v, want cancelled", err)
	}
}

// allocated is how much memory this process ever asked for, in bytes.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
