package parts_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/poll"
)

func TestTheBurnerBurnsInTheFunctionThatItNames(t *testing.T) {
	path, err := parts.BuildBurner(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := parts.StartBurner(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := b.Heat(t.Context(), 0.5); err != nil {
		t.Fatal(err)
	}
	if err := b.Grow(t.Context(), 64); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the hot function at the top of the CPU profile", func() bool { return top(t, b, "profile?seconds=1") == parts.BurnerHotFunction })
	if got := top(t, b, "allocs"); got != parts.BurnerGrowingFunction {
		t.Errorf("top of the memory profile is %q", got)
	}
}

// top returns the function with the most flat use in the profile's last sample type.
func top(t *testing.T, b *parts.Burner, page string) string {
	t.Helper()
	resp, err := http.Get("http://" + b.Addr + "/debug/pprof/" + page)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Parse(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	flat, best := map[string]int64{}, ""
	for _, s := range p.Sample {
		name := s.Location[0].Line[0].Function.Name
		flat[name] += s.Value[len(s.Value)-1]
		if flat[name] > flat[best] {
			best = name
		}
	}
	return best
}
