package soak

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// build builds the programs as users have them, without the race detector.
func build(ctx context.Context, t *testing.T, dir string) (bin string) {
	t.Helper()
	root, err := parts.Root()
	must(t, err)
	bin = filepath.Join(dir, "bin")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin+"/", "./agent", "./aggregator", "./test/burner")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the programs: %v: %s", err, out)
	}
	return bin
}

func (s *scene) startAgent(ctx context.Context) error {
	err := s.StartAgent(ctx)
	if s.Agent != nil && (len(s.lives) == 0 || s.lives[len(s.lives)-1].Process != s.Agent) {
		s.lives = append(s.lives, life{Process: s.Agent})
	}
	return err
}

func (s *scene) startAggregator(ctx context.Context) error {
	err := s.StartAggregator(ctx)
	if s.Aggregator != nil && (len(s.aggregators) == 0 || s.aggregators[len(s.aggregators)-1] != s.Aggregator) {
		s.aggregators = append(s.aggregators, s.Aggregator)
	}
	return err
}

func (s *scene) killAgent() {
	s.measure(s.Agent)
	s.lives[len(s.lives)-1].killed = time.Now()
	s.Agent.Kill()
}

func (s *scene) killAggregator() {
	s.measure(s.Aggregator)
	s.Aggregator.Kill()
}

// stop tells a program to end, which it has to do by itself and well.
func (s *scene) stop(p *rig.Process) error {
	s.measure(p)
	p.Stop()
	if code := p.ExitCode(); code != 0 {
		return fmt.Errorf("%s was told to stop and ended with code %d", p.Name, code)
	}
	return nil
}

// measure notes the most memory that a program had resident in this life.
func (s *scene) measure(p *rig.Process) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return // it has ended
	}
	s.peak[p.Name] = max(s.peak[p.Name], field(string(status), "VmHWM:"))
}

// freeze stops the aggregator in its tracks until the returned function is called.
func (s *scene) freeze() (thaw func() error, err error) {
	p := s.Aggregator
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	return func() error { return p.Signal(syscall.SIGCONT) }, nil
}

// field returns the number behind a word of a file like /proc/PID/status.
func field(text, name string) int {
	_, rest, _ := strings.Cut(text, name)
	words := strings.Fields(rest)
	if len(words) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(words[0])
	return n
}

// checkProcesses fails the test when a process of a program in bin is left; who draws for an
// aggregator that was killed may finish first.
func checkProcesses(t *testing.T, bin string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := rig.Poll(ctx, func() error {
		links, err := filepath.Glob("/proc/[0-9]*/exe")
		for _, link := range links {
			if exe, err := os.Readlink(link); err == nil && strings.HasPrefix(exe, bin) {
				return fmt.Errorf("%s is %s", filepath.Dir(link), exe)
			}
		}
		return err
	}); err != nil {
		t.Errorf("leaked: %v", err)
	}
}
