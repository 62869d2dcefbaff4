package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"

	"github.com/gopprof/gopprof/test/parts"
)

// targets are processes in cgroups of their own: one in ten is a service at 0.6 of its CPU
// limit, which makes it warm and never hot; the others wait.
type targets struct {
	parent *parts.Cgroup
	file   string // for the agent's configuration
	undo   []func()
}

func (t *targets) stop() {
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.undo[i]()
	}
}

func startTargets(ctx context.Context, b *bench, n int) (t *targets, err error) {
	t = &targets{file: "targets:\n"}
	defer func() {
		if err != nil {
			t.stop()
		}
	}()
	burner, err := parts.BuildBurner(ctx, b.dir)
	if err != nil {
		return t, err
	}
	if t.parent, err = parts.NewCgroup("gopprof-bench", parts.CgroupLimits{}); err != nil {
		return t, err
	}
	t.undo = append(t.undo, func() { _ = t.parent.Remove() })
	for i := range n {
		if err := t.add(burner, i, i%10 == 0); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (t *targets) add(burner string, i int, warm bool) error {
	group, err := t.parent.Child(fmt.Sprintf("target-%d", i), parts.CgroupLimits{CPUCores: 0.02, MemoryBytes: 64 << 20})
	if err != nil {
		return err
	}
	t.undo = append(t.undo, func() { _ = group.Remove() })
	addr := fmt.Sprintf("127.0.0.1:%d", 1+i) // of an idle one, which nobody dials
	if warm {
		service, err := parts.StartBurner(burner, group, "-base-cores", "0.012")
		if err != nil {
			return err
		}
		t.undo = append(t.undo, func() { _ = service.Stop() })
		addr = service.Addr
	} else if err := t.idle(group); err != nil {
		return err
	}
	t.file += fmt.Sprintf("- {namespace: bench, workload: service-%d, pod: service-%d, pprof: \"http://%s/debug/pprof\", cgroup: %s}\n", i/5, i, addr, group.Path)
	return nil
}

// idle starts a process that waits for the end of its input, and so never outlives this one.
func (t *targets) idle(group *parts.Cgroup) error {
	cmd := exec.Command("cat")
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		return err
	}
	t.undo = append(t.undo, func() { _ = input.Close(); _ = cmd.Wait() })
	return group.Add(cmd.Process.Pid)
}
