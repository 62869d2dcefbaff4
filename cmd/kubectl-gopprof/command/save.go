package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// place is where profiles go. The zero place is nowhere.
type place struct {
	file   string
	dir    string
	stdout bool
}

// newPlace reads -o FILE, DIR or -. Where a single file is meant and no kind is named, the
// kind is cpu.
func newPlace(out string, r *api.CaptureRequest) (place, error) {
	if out == "" {
		return place{}, nil
	}
	stat, err := os.Stat(out)
	isDir := err == nil && stat.IsDir() || strings.HasSuffix(out, "/") || strings.HasSuffix(out, string(filepath.Separator))
	single := (r.Pod != "" || r.Merge) && len(r.Kinds) <= 1
	switch {
	case out == "-" && !single:
		return place{}, usage("-o - takes one profile: of one pod and kind, or with --merge")
	case out != "-" && (isDir || !single):
		return place{dir: out}, nil
	}
	if len(r.Kinds) == 0 {
		r.Kinds = []gopprof.Kind{gopprof.KindCPU}
	}
	if out == "-" {
		return place{stdout: true}, nil
	}
	return place{file: out}, nil
}

// wanted is one profile that is to be fetched.
type wanted struct {
	path string // of the API
	name string // in a directory
}

// save fetches the profiles of an operation and returns the files written.
func (c *commands) save(ctx context.Context, cl *client.Client, o outcome, p place) ([]string, error) {
	if p == (place{}) || !stored(o.op) {
		return nil, nil
	}
	list, err := o.profiles(ctx, cl, p)
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, fmt.Errorf("nothing to write: no profile of the kinds asked for could be taken")
	case p.stdout:
		return nil, cl.Download(ctx, list[0].path, c.Out)
	case p.file != "":
		return []string{p.file}, download(ctx, cl, list[0].path, p.file)
	}
	if err := os.MkdirAll(p.dir, 0o777); err != nil {
		return nil, err
	}
	var files []string
	for _, w := range list {
		file := filepath.Join(p.dir, w.name)
		if err := download(ctx, cl, w.path, file); err != nil {
			return files, err
		}
		files = append(files, file)
	}
	return files, nil
}

// profiles lists what an operation made and is wanted: the merged ones first.
func (o outcome) profiles(ctx context.Context, cl *client.Client, p place) ([]wanted, error) {
	list, err := mergedProfiles(ctx, cl, o.op)
	if err != nil || (o.op.Asked.Merge && p.dir == "") {
		return list, err
	}
	taken := map[string]bool{}
	for _, r := range o.reports {
		for _, f := range r.Files {
			kind, err := gopprof.ParseKind(string(f.Kind))
			if err != nil {
				continue // of a server newer than this command
			}
			name := unique(taken, fileName(r.Capture.Target.Pod), "-"+string(kind)+kind.Extension())
			list = append(list, wanted{api.PathProfile(r.ID, kind), name})
		}
	}
	return list, nil
}

func mergedProfiles(ctx context.Context, cl *client.Client, op gopprof.Operation) ([]wanted, error) {
	if !op.Asked.Merge {
		return nil, nil
	}
	m, err := cl.Merged(ctx, op.ID)
	var list []wanted
	for _, k := range m.Kinds {
		if kind, err := gopprof.ParseKind(string(k.Kind)); err == nil && k.Profile != "" {
			list = append(list, wanted{api.PathMergedProfile(op.ID, kind), "merged-" + string(kind) + kind.Extension()})
		}
	}
	return list, err
}

// fileName makes a stranger's name one that stays in its directory, and no option of a
// program.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, s)
	if len(s) > 200 {
		s = s[:200]
	}
	if s == "" || s[0] == '.' || s[0] == '-' {
		s = "_" + s
	}
	return s
}

// unique returns a name that was not taken yet.
func unique(taken map[string]bool, stem, end string) string {
	name := stem + end
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s-%d%s", stem, n, end)
	}
	taken[name] = true
	return name
}

// download writes what is at a path of the API to a file, as a whole or not at all. What is
// there already and no regular file, such as a pipe, is written to as it is.
func download(ctx context.Context, cl *client.Client, path, file string) error {
	content := func(w io.Writer) error { return cl.Download(ctx, path, w) }
	if stat, err := os.Stat(file); err == nil && !stat.Mode().IsRegular() {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return content(f)
	}
	return replace(file, content)
}

// replace writes a file that only its owner may read, as profiles tell what a program does.
// pkg/durable would make it outlive a power cut, but not run on Windows: a profile can be
// fetched again.
func replace(file string, content func(io.Writer) error) error {
	dir := filepath.Dir(file)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("writing %q: %w", file, err)
	}
	temp, err := os.CreateTemp(dir, "."+filepath.Base(file)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // after the renaming there is none
	err = content(temp)
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}
