package command

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// opening is what the command line of open says.
type opening struct {
	kind string
	web  bool
	out  string
}

const openHelp = `Look at a profile: of a report, of an operation that was merged, or in a file.

Without flags the profile is fetched and opened in the browser by ` + "`go tool pprof -http`" + `
(a trace by ` + "`go tool trace`" + `); Go must be installed. --web opens the report's page instead, and prints
its address. -o keeps the profile in a file and opens nothing.`

const openExamples = `  NAME open 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b
  NAME open 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b --kind heap
  NAME open 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b --web
  NAME open cpu.pb.gz`

func (c *commands) open() *cobra.Command {
	var o opening
	cmd := &cobra.Command{
		Use: "open REPORT|OPERATION|FILE", Short: "Look at a profile in the browser",
		Long: openHelp, Example: c.named(openExamples), Args: cobra.ExactArgs(1),
		ValidArgsFunction: c.asked(reportWords, cobra.ShellCompDirectiveDefault),
		RunE:              func(cmd *cobra.Command, args []string) error { return c.runOpen(cmd.Context(), args[0], o) },
	}
	c.kindFlag(cmd, &o.kind, "`kind` of the profile; cpu if there is one")
	cmd.Flags().BoolVar(&o.web, "web", false, "the report's page instead")
	cmd.Flags().StringVarP(&o.out, "output", "o", "", "`file` to keep the profile in")
	return cmd
}

func (c *commands) runOpen(ctx context.Context, arg string, o opening) error {
	if stat, err := os.Stat(arg); err == nil && !stat.IsDir() {
		if o.web || o.out != "" || o.kind != "" {
			return usage("%q is a file: no flag goes with it", arg)
		}
		return c.openFile(ctx, arg)
	}
	if o.web && o.out != "" {
		return usage("--web and -o exclude each other")
	}
	if gopprof.CheckID(arg) != nil {
		return usage("%q is neither a file nor the ID of a report or operation", arg)
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	f, err := c.find(ctx, cl, arg)
	if err != nil {
		return err
	}
	if o.web {
		return c.openPage(ctx, cl, f)
	}
	return c.openProfile(ctx, cl, f, o)
}

func (c *commands) openProfile(ctx context.Context, cl *client.Client, f found, o opening) error {
	kind, err := f.choose(o.kind)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := download(ctx, cl, f.path(kind), o.out); err != nil {
			return err
		}
		c.say("written: %s", o.out)
		return nil
	}
	if _, err := c.goTool(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gopprof-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, string(kind)+kind.Extension())
	if err := download(ctx, cl, f.path(kind), file); err != nil {
		return err
	}
	return c.openFile(ctx, file)
}

func (c *commands) goTool() (string, error) {
	program, err := c.Find("go")
	if err != nil {
		return "", fmt.Errorf("no `go` is found, which opens profiles: install Go (https://go.dev/dl), see the report's page by --web, or keep the profile by -o FILE")
	}
	return program, nil
}

// openFile opens a file that holds a profile. pprof is told not to look for the binaries that
// the file names: Go's profiles bring their symbols, and the file is a stranger's.
func (c *commands) openFile(ctx context.Context, file string) error {
	program, err := c.goTool()
	if err != nil {
		return err
	}
	if file, err = filepath.Abs(file); err != nil { // never an option
		return err
	}
	args := []string{"tool", "pprof", "-symbolize=none", "-http=localhost:"}
	if c.Browser == "" {
		args = append(args, "-no_browser")
	}
	if strings.HasSuffix(file, gopprof.KindTrace.Extension()) {
		args = []string{"tool", "trace"}
	}
	if err := c.Start(ctx, program, append(args, file)...); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%s: %w", viewer(file), err)
	}
	return nil
}

// viewer names what opens a file.
func viewer(file string) string {
	if strings.HasSuffix(file, gopprof.KindTrace.Extension()) {
		return "go tool trace"
	}
	return "go tool pprof -http=localhost:"
}

// openPage prints the address of a report's page, and opens it where there is a display.
func (c *commands) openPage(ctx context.Context, cl *client.Client, f found) error {
	if f.merged != nil {
		return usage("a merged profile has no page: choose the report of a pod")
	}
	page := f.report.Page
	if page == "" {
		page = cl.Server.Page(api.PathPage(f.report.ID))
	}
	if page == "" {
		return fmt.Errorf("the server does not say where its pages are (serve.public_url): open the report without --web")
	}
	// Who made the address may want a browser to run something.
	if u, err := url.Parse(page); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || show.Clean(page) != page {
		return fmt.Errorf("the report's page %q is no address of a page", show.Clean(page))
	}
	if _, err := fmt.Fprintln(c.Out, page); err != nil {
		return err
	}
	if c.Browser == "" {
		return nil
	}
	if err := c.Start(ctx, c.Browser, page); err != nil {
		c.say("%s did not open it: %v", c.Browser, err)
	}
	return nil
}

// Browser returns the program that opens pages on this machine, or "" without a display.
func Browser(getenv func(string) string) string { return browser(runtime.GOOS, getenv) }

func browser(system string, getenv func(string) string) string {
	switch system {
	case "darwin":
		return "open"
	case "windows":
		return "explorer"
	}
	if getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "" {
		return ""
	}
	return "xdg-open"
}
