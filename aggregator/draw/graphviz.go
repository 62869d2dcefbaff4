package draw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// graphviz is an installed dot, and a directory of those of its plugins that a call graph
// needs: the layout, and SVG. Without pango, which measures text with the machine's fonts,
// it takes less than half of the time; text has the width that Times, which the drawing
// asks for, is known to have. Nothing else of what graphviz can load (fonts, images, X) is
// then within reach of a profile.
type graphviz struct {
	Dot     string `json:"dot"`     // absolute path
	Plugins string `json:"plugins"` // directory; empty is all that graphviz has
	files   int    // in that directory
}

// plugins are the names of those that are enough, as parts of the files' names.
var plugins = []string{"core", "dot_layout"}

// environment is that of a dot.
func (g graphviz) environment() []string {
	env := environment()
	if g.Plugins != "" {
		env = append(env, "GVBINDIR="+g.Plugins)
	}
	return env
}

// usable tells whether what was found is still there.
func (g graphviz) usable() bool {
	if _, err := os.Stat(g.Dot); err != nil {
		return false
	}
	if g.Plugins == "" {
		return true
	}
	files, _ := os.ReadDir(g.Plugins)
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(g.Plugins, f.Name())); err != nil {
			return false
		}
	}
	return len(files) == g.files
}

// libDir is where graphviz's plugins are, in what `dot -v` says.
var libDir = regexp.MustCompile(`(?m)^libdir = "(/[^"\n]+)"$`)

// findGraphviz returns the dot of a path or name. Where its plugins cannot be told apart it
// loads them all.
func findGraphviz(ctx context.Context, name string, log *zap.Logger) (graphviz, error) {
	dot, err := lookPath(name)
	if err != nil {
		return graphviz{}, fmt.Errorf("%w: graphviz's dot is missing (%w): install graphviz, or set where dot is", ErrUnavailable, err)
	}
	g := graphviz{Dot: dot}
	if g.Plugins, err = choosePlugins(ctx, dot); err != nil {
		log.Warn("graphviz works with all its plugins, and takes longer", zap.String("dot", dot), zap.Error(err))
		return g, nil
	}
	files, err := os.ReadDir(g.Plugins)
	g.files = len(files)
	return g, err
}

// choosePlugins makes a directory with links to the plugins that are enough and the list of
// them that dot reads.
func choosePlugins(ctx context.Context, dot string) (dir string, err error) {
	installed, err := pluginDir(ctx, dot)
	if err != nil {
		return "", err
	}
	removeRuins()
	if dir, err = os.MkdirTemp("", fmt.Sprintf("%s%d-", linksPrefix, os.Getpid())); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	for _, name := range plugins {
		files, _ := filepath.Glob(filepath.Join(installed, "libgvplugin_"+name+".so*")) // the pattern is ours
		if len(files) == 0 {
			return "", fmt.Errorf("there is no plugin %q in %q", name, installed)
		}
		for _, file := range files {
			if err := os.Symlink(file, filepath.Join(dir, filepath.Base(file))); err != nil {
				return "", err
			}
		}
	}
	g := graphviz{Dot: dot, Plugins: dir}
	if out, err := g.say(ctx, "-c"); err != nil {
		return "", fmt.Errorf("listing plugins: %w%s", err, lastWords(string(out)))
	}
	return dir, nil
}

// linksPrefix begins the name of a directory of links; the PID of who made it follows.
const linksPrefix = "gopprof-graphviz-"

// began is when this process did.
var began = time.Now()

// removeRuins removes the directories of processes that were killed. In a container each has
// the PID of the one before.
func removeRuins() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), linksPrefix+"*")) // the pattern is ours
	for _, dir := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), linksPrefix), "-")
		maker, err := strconv.Atoi(pid)
		info, gone := os.Lstat(dir)
		if err != nil || gone != nil || !info.IsDir() || maker <= 0 {
			continue
		}
		if ours := maker == os.Getpid(); ours && info.ModTime().Before(began) || !ours && errors.Is(unix.Kill(maker, 0), unix.ESRCH) {
			os.RemoveAll(dir) //nolint:errcheck // another user's stays
		}
	}
}

// pluginDir is where dot has its plugins.
func pluginDir(ctx context.Context, dot string) (string, error) {
	out, err := graphviz{Dot: dot}.say(ctx, "-v")
	if err != nil {
		return "", fmt.Errorf("looking for plugins: %w%s", err, lastWords(string(out)))
	}
	found := libDir.FindSubmatch(out)
	if found == nil {
		return "", errors.New("looking for plugins: dot does not say where they are")
	}
	return string(found[1]), nil
}

// say returns what dot says with a flag, given an empty graph.
func (g graphviz) say(ctx context.Context, flag string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, g.Dot, flag)
	cmd.Dir, cmd.Env, cmd.WaitDelay = "/", g.environment(), time.Second
	cmd.Stdin = bytes.NewReader([]byte("digraph {}"))
	out := &bounded{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	return out.data, err
}
