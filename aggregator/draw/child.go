package draw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/pkg/profile"
)

// child is a running worker process.
type child struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       io.ReadCloser
	complaint *bounded

	mu    sync.Mutex // held to signal or to reap, so that no signal meets a reused PID
	ended bool
}

// errGone means that the worker was gone before it began the job.
var errGone = errors.New("the worker was gone")

// startChild starts a worker in a process group of its own.
func startChild(argv []string, memoryBytes int64) (*child, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(environment(),
		"GOMAXPROCS=1", // its CPU time is its wall time, which is limited
		// Collect garbage rather than grow: what lives may still grow up to the limit below.
		"GOMEMLIMIT="+strconv.FormatInt(profile.DefaultLimits().MemoryBytes, 10),
		"GOTRACEBACK=none",
	)
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c := &child{cmd: cmd, complaint: &bounded{limit: 4 << 10}}
	cmd.Stderr = c.complaint
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting a draw worker: %w", err)
	}
	if c.out, err = cmd.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("starting a draw worker: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a draw worker: %w", err)
	}
	// Data, not address space: Go reserves far more addresses than it uses.
	lim := &unix.Rlimit{Cur: uint64(memoryBytes), Max: uint64(memoryBytes)}
	if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_DATA, lim, nil); err != nil {
		c.stop()
		return nil, fmt.Errorf("limiting a draw worker: %w", err)
	}
	return c, nil
}

// do gives the worker one job and waits for the result, at most as long as ctx. After an
// error of its own (not the job's, which is in the response) the worker must be stopped.
func (c *child) do(ctx context.Context, req request, body []byte) (response, []byte, error) {
	release := context.AfterFunc(ctx, c.kill)
	defer release()
	if err := c.hand(req, body); err != nil {
		return response{}, nil, c.failed(ctx, fmt.Errorf("%w: %w", errGone, err))
	}
	var resp response
	if err := readHeader(c.out, &resp); err != nil {
		return response{}, nil, c.failed(ctx, err)
	}
	svg, err := readBody(c.out, resp.Size, req.SVGBytes)
	if err != nil {
		return response{}, nil, c.failed(ctx, err)
	}
	return resp, svg, nil
}

// hand gives the worker its job and waits until it has it.
func (c *child) hand(req request, body []byte) error {
	if err := writeFrame(c.in, req, body); err != nil {
		return err
	}
	var begun response
	return readHeader(c.out, &begun)
}

// failed names the cause of a worker's failure: the end of the job's time, or whatever
// ended the worker.
func (c *child) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errFrame) {
		return fmt.Errorf("the draw worker answers nonsense: %w", err)
	}
	exit := c.stop()
	return fmt.Errorf("the draw worker died (%v): %w%s", exit, err, lastWords(string(c.complaint.data)))
}

// kill ends the worker and the dot that it started.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		unix.Kill(-c.cmd.Process.Pid, unix.SIGKILL) //nolint:errcheck // it may have ended by itself
	}
}

// stop ends the worker, if it has not ended, and returns how it did.
func (c *child) stop() error {
	c.kill()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil
	}
	c.ended = true
	c.in.Close() //nolint:errcheck // a pipe
	return c.cmd.Wait()
}
