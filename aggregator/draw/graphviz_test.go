package draw

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
)

// Only the layout and SVG are within reach of a profile: no fonts, no images, no other
// formats.
func TestOnlyTheNeededPluginsAreLoaded(t *testing.T) {
	needDot(t)
	g, err := findGraphviz(t.Context(), "dot", zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(g.Plugins) }) //nolint:errcheck // the test's own
	said, err := g.say(t.Context(), "-v")
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for _, other := range []string{"pango", "cairo", "gd", "neato", "xlib", "webp"} {
		if strings.Contains(string(said), other) {
			t.Errorf("dot knows of %s: %s", other, said)
		}
	}
	lim := limits{CPUSeconds: 5, MemoryBytes: DefaultConfig().MemoryBytes, OutputBytes: 1 << 20}
	svg, err := g.run(t.Context(), []byte(`digraph { N1 [label="works"] N1 -> N2 }`), lim)
	if err != nil || !strings.Contains(string(svg), ">works</text>") {
		t.Errorf("%s, %v", svg, err)
	}
}

// Its directory of plugins may be cleaned away, as old temporary files are.
func TestPluginsAreLinkedAnewWhenTheyAreGone(t *testing.T) {
	needDot(t)
	d := newDrawer(t, "draw-worker", nil)
	for range 2 {
		if err := d.Available(); err != nil {
			t.Fatal(err)
		}
		links, err := filepath.Glob(filepath.Join(d.graphviz.Plugins, "*core*"))
		if err != nil || len(links) == 0 {
			t.Fatalf("no link to a plugin: %v", err)
		}
		if err := os.Remove(links[0]); err != nil {
			t.Fatal(err)
		}
	}
	plugins := d.graphviz.Plugins
	d.Close()
	if _, err := os.Stat(plugins); !os.IsNotExist(err) {
		t.Errorf("the directory of links stays: %v", err)
	}
}

// What a killed process left is removed by the next, and nobody else's.
func TestRuinsOfKilledProcesses(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	stays := map[string]bool{
		fmt.Sprint(linksPrefix, dead.Process.Pid, "-1"): false,
		fmt.Sprint(linksPrefix, os.Getppid(), "-2"):     true,
		fmt.Sprint(linksPrefix, os.Getpid(), "-3"):      true,
		fmt.Sprint(linksPrefix, os.Getpid(), "-4"):      false, // of one with our PID, before us
		linksPrefix + "x": true,
		"another":         true,
	}
	for name := range stays {
		dir := filepath.Join(os.TempDir(), name)
		if err := os.MkdirAll(filepath.Join(dir, "below"), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "-4") {
			if err := os.Chtimes(dir, began, began.Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
	}
	removeRuins()
	for name, want := range stays {
		if _, err := os.Stat(filepath.Join(os.TempDir(), name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A dot that does not say where its plugins are is used with all that it has.
func TestGraphvizOfAnotherKind(t *testing.T) {
	dot := filepath.Join(t.TempDir(), "dot")
	if err := os.WriteFile(dot, []byte("#!/bin/sh\ncat >/dev/null\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	g, err := findGraphviz(t.Context(), dot, zaptest.NewLogger(t))
	if err != nil || g.Dot != dot || g.Plugins != "" || !g.usable() {
		t.Errorf("%+v, %v", g, err)
	}
}
