package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// pods are the instances of one case's service, each in a cgroup with limits.
type pods struct {
	bench *bench
	c     Case
	all   []*pod
	undo  []func()

	work   context.Context // ends with the pods: loads run under it
	cancel context.CancelFunc
	loads  sync.WaitGroup
	failed chan error // of loads; the first is kept
}

// pod is one of them.
type pod struct {
	name   string
	pprof  string
	cgroup *parts.Cgroup
	burner *parts.Burner       // nil when it is a foreign program
	fill   func(string) string // the placeholders of its texts
}

// startPods starts all, none of them bad yet. What did start is stopped by stop, also after
// an error.
func startPods(ctx context.Context, b *bench, c Case, service string) (*pods, error) {
	p := &pods{bench: b, c: c, failed: make(chan error, 1)}
	p.work, p.cancel = context.WithCancel(ctx)
	for i := range c.Pods {
		if err := p.start(ctx, fmt.Sprintf("%s-%d", service, i)); err != nil {
			return p, fmt.Errorf("starting pod %d of case %q: %w", i, c.Name, err)
		}
	}
	return p, nil
}

func (p *pods) stop() {
	p.cancel()
	p.loads.Wait()
	for i := len(p.undo) - 1; i >= 0; i-- {
		p.undo[i]()
	}
}

func (p *pods) later(undo func()) { p.undo = append(p.undo, undo) }

func (p *pods) limits() parts.CgroupLimits {
	return parts.CgroupLimits{CPUCores: p.c.All.CPUCores, MemoryBytes: int64(p.c.All.MemoryMiB) << 20}
}

func (p *pods) start(ctx context.Context, name string) error {
	cgroup, err := parts.NewCgroup("gopprof-explain", p.limits())
	if err != nil {
		return err
	}
	p.later(func() { _ = cgroup.Remove() })
	if err := cgroup.Prefer(); err != nil {
		return err
	}
	one := &pod{name: name, cgroup: cgroup}
	p.all = append(p.all, one)
	if len(p.c.Program.Command) > 0 {
		return p.startProgram(ctx, one)
	}
	flags := append([]string{"-base-cores", "0", "-rate", fmt.Sprint(p.c.All.Rate), "-load-cores", fmt.Sprint(p.c.All.LoadCores)}, p.c.All.Flags...)
	if one.burner, err = parts.StartBurnerIn(p.bench.burner, cgroup, p.environment(), flags...); err != nil {
		return err
	}
	p.later(func() { _ = one.burner.Stop() })
	one.pprof = "http://" + one.burner.Addr + "/debug/pprof"
	return nil
}

func (p *pods) environment() (list []string) {
	for name, value := range p.c.All.Environment {
		list = append(list, name+"="+value)
	}
	return list
}

func (p *pods) startProgram(ctx context.Context, one *pod) error {
	dir := filepath.Join(p.bench.Dir, one.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	fill, err := p.placeholders(dir)
	if err != nil {
		return err
	}
	one.fill, one.pprof = fill, fill(p.c.Program.Pprof)
	for name, text := range p.c.Program.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fill(text)), 0o644); err != nil {
			return err
		}
	}
	argv := append([]string{"env", "HOME=" + dir}, p.environment()...) // it becomes the program
	for _, word := range p.c.Program.Command {
		argv = append(argv, fill(word))
	}
	process, err := p.bench.Start(one.name, argv)
	if err != nil {
		return err
	}
	p.later(process.Stop)
	if err := one.cgroup.Add(process.PID()); err != nil {
		return err
	}
	return p.prepare(ctx, one)
}

// prepare waits until a program works, gives it what it needs, and starts its ordinary load.
func (p *pods) prepare(ctx context.Context, one *pod) error {
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := rig.Poll(ready, func() error { return answers(ready, one.fill(p.c.Program.Ready)) }); err != nil {
		return err
	}
	for _, l := range p.c.Program.Prepare {
		if l.Times == 0 {
			l.Times = 1
		}
		if err := l.run(ctx, one.fill); err != nil {
			return err
		}
	}
	p.load(one, p.c.Program.Load)
	return nil
}

func answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

// load goes on until the pods are stopped.
func (p *pods) load(one *pod, l Load) {
	if !l.given() {
		return
	}
	p.loads.Go(func() {
		if err := l.run(p.work, one.fill); err != nil && p.work.Err() == nil {
			select {
			case p.failed <- err:
			default:
			}
		}
	})
}

func (p *pods) placeholders(dir string) (func(string) string, error) {
	replace := []string{"{dir}", dir, "{bin}", filepath.Join(p.bench.root, ".cache", "bin")}
	for _, name := range []string{"{port}", "{port2}"} {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		replace = append(replace, name, port)
	}
	return strings.NewReplacer(replace...).Replace, nil
}

// freePort is one that the kernel just gave, for programs that cannot ask themselves.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// plant makes the first pods bad.
func (p *pods) plant(ctx context.Context) error {
	for _, one := range p.all[:p.c.Bad.Pods] {
		if err := p.spoil(ctx, one); err != nil {
			return fmt.Errorf("planting the cause of case %q: %w", p.c.Name, err)
		}
	}
	return nil
}

func (p *pods) spoil(ctx context.Context, one *pod) error {
	bad := p.c.Bad
	if bad.CPUCores > 0 {
		limits := p.limits()
		limits.CPUCores = bad.CPUCores
		if err := one.cgroup.SetLimits(limits); err != nil {
			return err
		}
	}
	load := ""
	switch {
	case bad.LoadCores > 0:
		load = fmt.Sprintf("/load?cores=%g", bad.LoadCores)
	case bad.Rate > 0:
		load = fmt.Sprintf("/load?rate=%g", bad.Rate)
	}
	if load != "" {
		if err := one.burner.Post(ctx, load); err != nil {
			return err
		}
	}
	if bad.Fault != "" {
		if err := one.burner.Post(ctx, fmt.Sprintf("/fault?name=%s&level=%g&over=%s", bad.Fault, bad.Level, bad.Over)); err != nil {
			return err
		}
	}
	p.load(one, bad.Load)
	return nil
}

// isBad tells whether a pod of that name is.
func (p *pods) isBad(name string) bool {
	for _, one := range p.all[:p.c.Bad.Pods] {
		if one.name == name {
			return true
		}
	}
	return false
}
