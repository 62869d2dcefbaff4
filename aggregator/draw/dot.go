package draw

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/pkg/profile"
)

// limits are what one run of dot may use.
type limits struct {
	CPUSeconds  int
	MemoryBytes int64 // of address space
	OutputBytes int64
}

// errOutput means that dot wrote more than it may.
var errOutput = errors.New("the drawing is too large")

// run lays out a graph. dot gets its limits before its input, so that it has read
// nothing when it is free of them; it runs in the caller's process group, which whoever
// limits the caller's time kills as one, and dies with the caller, whoever kills that.
func (g graphviz) run(ctx context.Context, graph []byte, lim limits) ([]byte, error) {
	cmd := exec.CommandContext(ctx, g.Dot, "-Tsvg")
	cmd.Dir = "/"
	cmd.Env = g.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out := &bounded{limit: int(lim.OutputBytes), err: errOutput}
	complaint := &bounded{limit: 4 << 10}
	cmd.Stdout, cmd.Stderr = out, complaint
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting dot: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting dot: %w", err)
	}
	if err = restrict(cmd.Process.Pid, lim.rlimits()); err == nil {
		_, err = stdin.Write(graph)
	} else {
		err = fmt.Errorf("limiting dot: %w", err)
		cmd.Process.Kill() //nolint:errcheck // Wait tells
	}
	stdin.Close() //nolint:errcheck // a pipe
	if err := dotError(cmd.Wait(), err, ctx, out, complaint); err != nil {
		return nil, err
	}
	return out.data, nil
}

// dotError finds the cause of a failed run.
func dotError(exit, input error, ctx context.Context, out, complaint *bounded) error {
	switch {
	case exit == nil && input == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("running dot: %w", ctx.Err())
	case out.full:
		return fmt.Errorf("running dot: %w: more than %d bytes", errOutput, out.limit)
	case exit == nil:
		return fmt.Errorf("running dot: %w", input)
	}
	if status, ok := errors.AsType[*exec.ExitError](exit); ok && signal(status) == unix.SIGXCPU {
		return fmt.Errorf("running dot: out of its CPU time: %w", exit)
	}
	return fmt.Errorf("running dot: %w%s", exit, lastWords(string(complaint.data)))
}

func signal(status *exec.ExitError) syscall.Signal {
	if ws, ok := status.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return ws.Signal()
	}
	return 0
}

// lastWords adds what a program complained of to an error.
func lastWords(complaint string) string {
	if complaint = oneLine(complaint); complaint != "" {
		return ": " + complaint
	}
	return ""
}

// oneLine makes a program's complaint, which may repeat a profile's names, fit for a log
// and a page.
func oneLine(s string) string {
	return profile.Printable(strings.Join(strings.Fields(s), " "), 300)
}

// rlimits are the limits as the kernel knows them.
func (l limits) rlimits() map[int]unix.Rlimit {
	cpu, memory := uint64(l.CPUSeconds), uint64(l.MemoryBytes)
	return map[int]unix.Rlimit{
		unix.RLIMIT_CPU:  {Cur: cpu, Max: cpu + 1}, // so that SIGXCPU tells the cause before SIGKILL
		unix.RLIMIT_AS:   {Cur: memory, Max: memory},
		unix.RLIMIT_CORE: {},
	}
}

// restrict limits a process that has not begun its work.
func restrict(pid int, limits map[int]unix.Rlimit) error {
	for resource, limit := range limits {
		if err := unix.Prlimit(pid, resource, &limit, nil); err != nil {
			return err
		}
	}
	return nil
}

// environment is what children get: nothing of the aggregator's own, which holds secrets.
// With SERVER_NAME set, graphviz opens no image files.
func environment() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "LC_ALL=C.UTF-8", "TZ=UTC", "SERVER_NAME=gopprof", "PPROF_BINARY_PATH=/nonexistent"}
}

// bounded keeps what is written up to a limit. Beyond it writing fails with err, or is
// dropped where there is none. It has no other way in: a promoted ReadFrom would pass the
// limit by.
type bounded struct {
	limit int
	err   error
	full  bool
	data  []byte
}

func (b *bounded) Write(p []byte) (int, error) {
	room := min(len(p), b.limit-len(b.data))
	b.data = append(b.data, p[:room]...)
	if room == len(p) {
		return len(p), nil
	}
	b.full = true
	if b.err != nil {
		return room, b.err
	}
	return len(p), nil
}

// firstWords are what was written up to an empty line: Go's runtime says what is wrong, and
// then where.
func (b *bounded) firstWords() string {
	words, _, _ := strings.Cut(string(b.data), "\n\n")
	return words
}
