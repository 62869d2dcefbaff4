package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gopprof/gopprof/test/child"
)

// Line is one line of a program's JSON log.
type Line map[string]any

// Text returns a value as a person reads it; "" when there is none.
func (l Line) Text(key string) string {
	switch v := l[key].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// Number returns a numeric value; 0 when there is none.
func (l Line) Number(key string) float64 {
	n, _ := l[key].(float64)
	return n
}

// Process is one program. Its output goes to a file, its log lines also to who awaits one.
type Process struct {
	Name string
	File string // its output

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu    sync.Mutex    // guards lines and news
	lines []Line        // all of its log
	news  chan struct{} // closed when there are more lines
}

// start runs a program. It is killed when the process that started it dies: nothing is
// left behind.
func start(dir, name string, argv []string) (*Process, error) {
	p := &Process{Name: name, File: filepath.Join(dir, name+".log"), done: make(chan struct{}), news: make(chan struct{})}
	out, err := os.OpenFile(p.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", name, err), out.Close())
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = write, write
	err = child.Start(p.cmd, func(error) { close(p.done) })
	write.Close()
	go p.follow(read, out) // until the last end of the pipe is closed
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

func (p *Process) follow(from io.ReadCloser, to io.WriteCloser) {
	defer from.Close()
	defer to.Close()
	lines := bufio.NewReader(from)
	for {
		text, err := lines.ReadBytes('\n')
		_, _ = to.Write(text)
		var line Line
		if json.Unmarshal(text, &line) == nil {
			p.add(line)
		}
		if err != nil {
			return
		}
	}
}

func (p *Process) add(line Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	close(p.news)
	p.news = make(chan struct{})
}

// Await returns the first log line with this message.
func (p *Process) Await(ctx context.Context, message string) (Line, error) {
	return p.AwaitWhere(ctx, message, func(Line) bool { return true })
}

// AwaitWhere returns the first log line with this message for which match holds.
func (p *Process) AwaitWhere(ctx context.Context, message string, match func(Line) bool) (Line, error) {
	for seen := 0; ; {
		p.mu.Lock()
		fresh, news := p.lines[seen:], p.news
		seen = len(p.lines)
		p.mu.Unlock()
		for _, line := range fresh {
			if line.Text("msg") == message && match(line) {
				return line, nil
			}
		}
		select {
		case <-news:
		case <-p.done:
			return nil, fmt.Errorf("%s ended before it said %q: see %s", p.Name, message, p.File)
		case <-ctx.Done():
			return nil, fmt.Errorf("%s did not say %q in time: see %s", p.Name, message, p.File)
		}
	}
}

// Lines returns its log so far, and a channel that is closed when there is more.
func (p *Process) Lines() (lines []Line, more <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.lines), p.news
}

// Signal sends the program a signal.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("sending %s to %s: %w", s, p.Name, err)
	}
	return nil
}

// ExitCode is how it ended by itself; -1 while it runs, or when a signal ended it.
func (p *Process) ExitCode() int {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}

// PID is the program's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the program to end and kills it when it does not.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.Kill()
	}
}

// Kill ends the program as a crash does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}
