package parts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/test/parts"
)

func TestCgroupIsRealAndLeavesNothing(t *testing.T) {
	if err := parts.CgroupsAllowed(); err != nil {
		parts.Missing(t, "no cgroups on this machine: %v", err)
	}
	c, err := parts.NewCgroup("gopprof-parts", parts.CgroupLimits{CPUCores: 0.5, MemoryBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
	child, err := c.Child("inner", parts.CgroupLimits{})
	if err != nil {
		t.Fatal(err)
	}
	sleep := exec.Command("sleep", "600")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			_ = sleep.Process.Kill()
			_ = sleep.Wait()
		}
	}
	t.Cleanup(stop)
	if err := child.Add(sleep.Process.Pid); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(sleep.Process.Pid), "cgroup"))
	if err != nil || !strings.Contains(string(data), ":"+child.Path+"\n") {
		t.Errorf("the process lives in %v, %s", err, data)
	}
	if err := child.SetLimits(parts.CgroupLimits{CPUCores: 0.25, MemoryBytes: 32 << 20}); err != nil {
		t.Error(err)
	}
	stop()
	if err := child.Remove(); err != nil {
		t.Error(err)
	}
	if err := child.Add(os.Getpid()); err == nil {
		t.Error("a process was moved into a removed cgroup")
	}
}
