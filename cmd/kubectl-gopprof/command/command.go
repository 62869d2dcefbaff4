// Package command is the developer's command: profile a pod now, look at what was found,
// see what is watched and why it did or did not fire, stop it all.
//
// A command line enters; requests to the API, text, files and an exit code leave. It decides
// nothing about captures: the server does. It must never write to a terminal what a
// stranger's name could make it obey, and never take a secret from its arguments.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/connect"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/progress"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
)

// World is what the command touches of the world.
type World struct {
	// Name is how the command is called: "kubectl gopprof" as a plugin of kubectl, "gopprof"
	// against hosts.
	Name     string
	Version  string
	Out, Err io.Writer
	Getenv   func(string) string
	Now      func() time.Time
	// Wait waits, or returns why ctx ended first.
	Wait func(ctx context.Context, d time.Duration) error
	// Screen is the terminal that Err goes to; nil when it is none.
	Screen *progress.Screen
	// OutTerminal tells that Out goes to a terminal.
	OutTerminal bool
	// Find returns the path of a program.
	Find func(program string) (string, error)
	// Start runs a program on the terminal until it or ctx ends.
	Start func(ctx context.Context, program string, args ...string) error
	// Browser is the program that opens a page; empty where there is no display.
	Browser string
	// Last ends with the second interrupt, when everything has to be left as it is. The
	// context of Run ends with the first.
	Last context.Context
}

// plugin tells whether the command is called as a plugin of kubectl.
func (w World) plugin() bool { return strings.HasPrefix(w.Name, "kubectl") }

// commands are the commands' common part.
type commands struct {
	World
	connect   connect.Options
	namespace string
	all       bool // namespaces
	output    string
	started   bool // the command line made sense so far
}

// Run runs a command line and returns the exit code.
func Run(ctx context.Context, w World, args []string) int {
	c := &commands{World: w}
	root := c.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	code := c.exitCode(ctx, err)
	if err != nil && !errors.Is(err, errSaid) {
		c.complain(cmd, err, code)
	}
	return code
}

// complain writes an error for a person.
func (c *commands) complain(cmd *cobra.Command, err error, code int) {
	if code == exitInterrupted {
		fmt.Fprintln(c.Err, "interrupted")
		return
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(c.Err, "error: "+show.Clean(strings.TrimSuffix(line, "\n")))
	}
	if code == exitUsage {
		fmt.Fprintf(c.Err, "`%s --help` says more\n", cmd.CommandPath())
	}
}

const intro = `Profile Go services while it matters, and see what their agents found.

  capture     profile a pod, all pods of a workload, or what a selector finds, now
  open, top   look at a report
  reports     what was found, newest first
  targets     what is watched, and why it did or did not fire
  silence     tell nobody of a workload's reports for a while
  pause       switch all profiling off; resume switches it on again

NAME reaches the server DEFAULT.
--server (or GOPPROF_SERVER) goes to an aggregator directly; its token comes from
--token-file or GOPPROF_TOKEN. --kubeconfig, --context and KUBECONFIG are as in kubectl.

COMPLETION

Exit codes:
    0  done
    1  some or all captures failed, or what was asked for could not be done
    2  the command line makes no sense, or the server found that it does not
    3  refused: you are not known, or may not do this
    4  no answer: the server is not reached
    5  a limit is reached: enough is being captured already
  130  interrupted`

const introExamples = `  # the cpu of one pod for 30 seconds, into a file
  NAME capture pod/web-6f7c9-x2x4z --kind cpu --seconds 30 -o cpu.pb.gz

  # all pods of a deployment as one profile, and who of them is different
  NAME capture deploy/web --merge

  # why did nothing fire?
  NAME targets

  # the newest reports, and the functions of one
  NAME reports
  NAME top 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b`

// root returns the command with all others below it.
func (c *commands) root() *cobra.Command {
	root := &cobra.Command{
		Use: "kubectl-gopprof", Short: "Profile Go services while it matters",
		Long: c.named(intro), Example: c.named(introExamples),
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { c.started = true },
		Annotations:      map[string]string{cobra.CommandDisplayNameAnnotation: c.Name},
	}
	if !c.plugin() {
		root.Use, root.Annotations = c.Name, nil
	}
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	c.flags(root)
	root.AddCommand(c.capture(), c.open(), c.top(), c.reports(), c.operations(), c.cancel(),
		c.targets(), c.pause(), c.resume(), c.silence(), c.silences(), c.unsilence(), c.notify(), c.proxy(), c.version())
	return root
}

// named puts the command's name into help and examples.
func (c *commands) named(text string) string {
	server := "of this machine, " + connect.HostsServer
	completion := "Completion: `gopprof completion --help`."
	if c.plugin() {
		server = "through the cluster of your kubeconfig"
		completion = "Completion: kubectl's own works once this program is linked as kubectl_complete-gopprof beside it."
	}
	return strings.NewReplacer("NAME ", c.Name+" ", "DEFAULT", server, "COMPLETION", completion).Replace(text)
}

// client connects to the server that the flags name.
func (c *commands) client() (*client.Client, error) {
	server, err := c.server()
	if err != nil {
		return nil, err
	}
	return &client.Client{Server: server, Namespace: server.Namespace, Wait: c.Wait}, nil
}

func (c *commands) server() (connect.Server, error) {
	if c.all && c.namespace != "" {
		return connect.Server{}, usage("--namespace and --all-namespaces exclude each other")
	}
	o := c.options()
	server, err := o.Open()
	if err != nil {
		return server, usageError{err}
	}
	if c.all {
		server.Namespace = ""
	}
	return server, nil
}

func (c *commands) options() connect.Options {
	o := c.connect
	o.Namespace, o.Getenv, o.Hosts = c.namespace, c.Getenv, !c.plugin()
	o.UserAgent = "kubectl-gopprof/" + c.Version
	return o
}

// say writes a line of news to standard error.
func (c *commands) say(format string, args ...any) {
	fmt.Fprintln(c.Err, show.Clean(fmt.Sprintf(format, args...)))
}

// again returns the command line of another command on the same server, for hints.
func (c *commands) again(command string) string {
	line := c.Name + " " + command
	for _, flag := range []struct{ name, value string }{
		{"--server", c.connect.Server}, {"--token-file", c.connect.TokenFile}, {"--ca-file", c.connect.CAFile},
		{"--kubeconfig", c.connect.Kubeconfig}, {"--context", c.connect.Context}, {"--as", c.connect.As}, {"-n", c.namespace},
	} {
		if flag.value != "" {
			line += " " + flag.name + " " + flag.value
		}
	}
	return line
}

func (c *commands) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(c.Out, c.Version)
			return err
		},
	}
}
