package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// logLine is one line of a program's JSON log.
type logLine map[string]any

func (l logLine) text(key string) string {
	switch v := l[key].(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprint(v)
	}
}

// process is one program of the demo. Its output goes to a file beside the data, and its
// log lines to whoever waits for one.
type process struct {
	name string
	cmd  *exec.Cmd
	file string
	done chan struct{}

	mu    sync.Mutex // guards lines and news
	lines []logLine
	news  chan struct{}
}

// start runs a program until ctx ends or stop is called. It must be called from the main
// goroutine, whose thread the program's life is tied to: a demo that is killed leaves
// nothing behind.
func start(dir, name string, argv ...string) (*process, error) {
	p := &process{name: name, file: filepath.Join(dir, name+".log"), done: make(chan struct{}), news: make(chan struct{})}
	out, err := os.Create(p.file)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.cmd.Stdout, p.cmd.Stderr = write, write
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	write.Close()
	go p.follow(read, out)
	return p, nil
}

func (p *process) follow(from io.ReadCloser, to io.WriteCloser) {
	defer from.Close()
	defer to.Close()
	lines := bufio.NewReader(from)
	for {
		text, err := lines.ReadBytes('\n')
		_, _ = to.Write(text)
		var line logLine
		if json.Unmarshal(text, &line) == nil {
			p.add(line)
		}
		if err != nil {
			break
		}
	}
	_ = p.cmd.Wait()
	close(p.done)
}

func (p *process) add(line logLine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	close(p.news)
	p.news = make(chan struct{})
}

// await returns the first log line with this message.
func (p *process) await(ctx context.Context, message string) (logLine, error) {
	for seen := 0; ; {
		p.mu.Lock()
		fresh, news := p.lines[seen:], p.news
		seen = len(p.lines)
		p.mu.Unlock()
		for _, line := range fresh {
			if line.text("msg") == message {
				return line, nil
			}
		}
		select {
		case <-news:
		case <-p.done:
			return nil, fmt.Errorf("%s ended before it said %q: see %s", p.name, message, p.file)
		case <-ctx.Done():
			return nil, fmt.Errorf("%s did not say %q in time: see %s", p.name, message, p.file)
		}
	}
}

// stop asks the program to end and kills it when it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}
