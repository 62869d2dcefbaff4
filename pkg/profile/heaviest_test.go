package profile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// TestHeaviest: the heaviest stacks stay as they are, the rest is one, and what comes out is
// a profile.
func TestHeaviest(t *testing.T) {
	file := profiletest.CPU(1, profiletest.On(1, "main.d", "main.main"), profiletest.On(50, "main.a", "main.main"),
		profiletest.On(20, "main.b", "main.main"), profiletest.On(2, "main.c", "main.main"))
	for name, test := range map[string]struct {
		frames, functions int
		want              string
	}{
		"all":             {8, 5, "main.d 1, main.a 50, main.b 20, main.c 2"},
		"two by frames":   {4, 5, "main.a 50, main.b 20, 2 lighter stacks are left out 3"},
		"three by frames": {7, 5, "main.a 50, main.b 20, main.c 2, 1 lighter stacks are left out 1"},
		"by functions":    {8, 2, "main.a 50, 3 lighter stacks are left out 23"},
		"none":            {1, 5, "4 lighter stacks are left out 73"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(file, DefaultLimits())
			if err == nil {
				p, err = p.Clean(gopprof.KindCPU)
			}
			if err != nil {
				t.Fatal(err)
			}
			data, err := p.Heaviest(test.frames, test.functions).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			raw, err := profile.Parse(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range raw.Sample {
				got = append(got, fmt.Sprint(s.Location[0].Line[0].Function.Name, " ", s.Value[0]))
			}
			if have := strings.Join(got, ", "); have != test.want {
				t.Errorf("stacks %q, want %q", have, test.want)
			}
		})
	}
}
