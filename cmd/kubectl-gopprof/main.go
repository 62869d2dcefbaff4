// Command kubectl-gopprof is the developer's command, `kubectl gopprof`: profile a pod now,
// see what was found and why, stop it all. The same program called `gopprof` does so for
// hosts outside Kubernetes.
//
//	go install github.com/gopprof/gopprof/cmd/kubectl-gopprof@latest
//	ln -s kubectl-gopprof "$(go env GOPATH)/bin/gopprof"
package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/command"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/progress"
	"github.com/gopprof/gopprof/pkg/ops"
)

func main() {
	name, args := called(os.Args)
	ctx, last := interrupts()
	os.Exit(command.Run(ctx, command.World{
		Name: name, Version: ops.Version(), Out: os.Stdout, Err: os.Stderr,
		Getenv: os.Getenv, Now: time.Now, Wait: wait,
		Screen: screen(), OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		Find: exec.LookPath, Start: start, Browser: command.Browser(os.Getenv), Last: last,
	}, args))
}

// called reads how the program was called. kubectl asks for completions by a name of their
// own.
func called(args []string) (name string, rest []string) {
	switch base := strings.TrimSuffix(filepath.Base(args[0]), ".exe"); {
	case base == "kubectl_complete-gopprof":
		return "kubectl gopprof", append([]string{"__complete"}, args[1:]...)
	case strings.HasPrefix(base, "kubectl-"):
		return "kubectl gopprof", args[1:]
	}
	return "gopprof", args[1:]
}

// interrupts returns a context that ends with the first interrupt and one that ends with
// the second.
func interrupts() (first, second context.Context) {
	second, leave := context.WithCancel(context.Background())
	first, stop := context.WithCancel(second)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		<-signals
		leave()
		signal.Stop(signals) // a third ends the process
	}()
	return first, second
}

// screen returns the terminal behind standard error, if there is one that can be painted on.
func screen() *progress.Screen {
	fd := int(os.Stderr.Fd())
	if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &progress.Screen{
		Color: os.Getenv("NO_COLOR") == "",
		Size: func() (columns, rows int) {
			columns, rows, err := term.GetSize(fd)
			if err != nil || columns <= 0 || rows <= 0 {
				return 80, 24
			}
			return columns, rows
		},
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// start runs a program on this terminal. It gets the interrupt, as the terminal sends it to
// both, and a moment to end.
func start(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd.Run()
}
