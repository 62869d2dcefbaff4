package draw

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Child is a running worker process.
type Child struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       io.ReadCloser
	complaint *bounded

	mu    sync.Mutex // held to signal or to reap, so that no signal meets a reused PID
	ended bool
}

// ErrGone means that the worker was gone before it began the job.
var ErrGone = errors.New("the worker was gone")

// JobError is the failure of a job, as the worker that goes on tells it: for people.
type JobError struct {
	Reason gopprof.Reason // empty: it has no name
	Text   string
}

// Error returns the text.
func (e *JobError) Error() string { return e.Text }

// ChildLimits are what a child may use in its whole life, beside the time of each job. It
// leaves no core file.
type ChildLimits struct {
	MemoryBytes int64 // of data
	SoftBytes   int64 // from here on it rather collects garbage than grows
	CPUSeconds  int   // 0: no limit but the time of each job
	Shut        bool  // it may write no file, and opens next to none
}

// mostFiles are open in a child that is shut: what Go's runtime needs, and a few.
const mostFiles = 16

// rlimits are the limits as the kernel knows them. Data, not address space: Go reserves far
// more addresses than it uses.
func (l ChildLimits) rlimits() map[int]unix.Rlimit {
	data := uint64(l.MemoryBytes)
	out := map[int]unix.Rlimit{unix.RLIMIT_DATA: {Cur: data, Max: data}, unix.RLIMIT_CORE: {}}
	if l.CPUSeconds > 0 {
		cpu := uint64(l.CPUSeconds)
		out[unix.RLIMIT_CPU] = unix.Rlimit{Cur: cpu, Max: cpu + 1} // so that SIGXCPU tells the cause before SIGKILL
	}
	if l.Shut {
		out[unix.RLIMIT_FSIZE] = unix.Rlimit{}
		out[unix.RLIMIT_NOFILE] = unix.Rlimit{Cur: mostFiles, Max: mostFiles}
	}
	return out
}

// StartChild starts a worker in a process group of its own, which dies with this process.
// argv is the command line of a program that calls Work on its standard input and output;
// its path is absolute.
func StartChild(argv []string, lim ChildLimits) (*Child, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(environment(),
		"GOMAXPROCS=1", // its CPU time is its wall time, which is limited
		"GOMEMLIMIT="+strconv.FormatInt(lim.SoftBytes, 10),
		"GOTRACEBACK=none",
	)
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	c := &Child{cmd: cmd, complaint: &bounded{limit: 4 << 10}}
	cmd.Stderr = c.complaint
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	if c.out, err = cmd.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	if err := restrict(cmd.Process.Pid, lim.rlimits()); err != nil {
		c.Stop() //nolint:errcheck // it has done nothing yet
		return nil, fmt.Errorf("limiting a worker: %w", err)
	}
	return c, nil
}

// PID is that of the child's process.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Do gives the worker one job, its description as JSON and its body, and waits for the
// result, of at most so many bytes, at most as long as ctx. The parts of the body become one,
// and each is nil in the caller's slice when the worker has it: what nobody else holds is in
// one process only while the job is done. After an error that is not the job's own, a
// *JobError, the worker must be stopped; with ErrGone it was not this job that ended it.
func (c *Child) Do(ctx context.Context, job any, most int64, body ...[]byte) ([]byte, error) {
	release := context.AfterFunc(ctx, c.kill)
	defer release()
	if err := c.hand(job, body); err != nil {
		return nil, c.failed(ctx, fmt.Errorf("%w: %w", ErrGone, err))
	}
	var resp response
	if err := readHeader(c.out, &resp); err != nil {
		return nil, c.failed(ctx, err)
	}
	result, err := readBody(c.out, resp.Size, most)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	if resp.Error != "" {
		return nil, &JobError{resp.Reason, resp.Error}
	}
	return result, nil
}

// muchHanded is the size (bytes) of a body whose memory is given back at once: the worker is
// about to take as much, and more.
const muchHanded = 4 << 20

// hand gives the worker its job and waits until it has it.
func (c *Child) hand(job any, body [][]byte) error {
	description, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("encoding a job: %w", err)
	}
	size := int64(0)
	for _, part := range body {
		size += int64(len(part))
	}
	if err := writeFrame(c.in, request{Size: size, Job: description}, body...); err != nil {
		return err
	}
	if size > muchHanded {
		debug.FreeOSMemory()
	}
	var begun response
	return readHeader(c.out, &begun)
}

// failed names the cause of a worker's failure: the end of the job's time, or whatever
// ended the worker.
func (c *Child) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errFrame) {
		return fmt.Errorf("the worker answers nonsense: %w", err)
	}
	exit := c.Stop()
	return fmt.Errorf("the worker died (%v): %w%s", exit, err, lastWords(c.complaint.firstWords()))
}

// kill ends the worker and the dot that it started.
func (c *Child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		unix.Kill(-c.cmd.Process.Pid, unix.SIGKILL) //nolint:errcheck // it may have ended by itself
	}
}

// Stop ends the worker, if it has not ended, and returns how it did.
func (c *Child) Stop() error {
	c.kill()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil
	}
	c.ended = true
	c.in.Close() //nolint:errcheck // a pipe
	defer c.reap()
	return c.cmd.Wait()
}

// reap ends for good what the worker left of its group, which was killed: whoever is the first
// process of a container is the parent of all that have lost theirs. To any other it is nothing.
func (c *Child) reap() {
	for {
		if _, err := unix.Wait4(-c.cmd.Process.Pid, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
