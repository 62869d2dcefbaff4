package cadvisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/test/parts"
)

// roleEnv makes the test program, started again by itself, play a role: a process that
// lives in a cgroup, or a test in a mount namespace whose /sys/fs/cgroup is of the other
// version than this machine's.
const roleEnv = "GOPPROF_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "burn":
		burn()
	case "v1", "v2":
		if err := mountCgroups(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		cgroups.TestMode = true // read files that lie outside of a cgroup file system
	}
	os.Exit(m.Run())
}

// burn uses 32 MiB and one CPU for as long as its parent reads what it writes.
func burn() {
	memory := make([]byte, 32<<20)
	for turn := 0; ; turn++ {
		for range 100 {
			for page := 0; page < len(memory); page += 4096 {
				memory[page] += byte(turn)
			}
		}
		if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
			os.Exit(0)
		}
	}
}

func mountCgroups(version string) error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	is2, err := isCgroup2("/sys/fs/cgroup")
	switch {
	case err != nil:
		return err
	case version == "v2" && is2:
		return nil
	case version == "v2":
		return mountCgroups2("/sys/fs/cgroup")
	}
	if err := unix.Mount("none", "/sys/fs/cgroup", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mounting tmpfs: %w", err)
	}
	return nil
}

func mountCgroups2(dir string) error {
	if err := unix.Mount("none", dir, "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("mounting cgroup2: %w", err)
	}
	return nil
}

// in runs the calling test again where /sys/fs/cgroup is of that version, and tells
// whether it runs there already.
func in(t *testing.T, version string) bool {
	t.Helper()
	if os.Getenv(roleEnv) == version {
		return true
	}
	test := exec.Command(os.Args[0], "-test.v", "-test.run=^"+regexp.QuoteMeta(t.Name())+"$")
	test.Env = append(os.Environ(), roleEnv+"="+version)
	test.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := test.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		parts.Missing(t, "no mount namespaces on this machine: run the tests as root, with CAP_SYS_ADMIN: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a namespace with cgroup %s: %v\n%s", version, err, out)
	}
	return false
}

// newCgroup makes a real cgroup for one test.
func newCgroup(t *testing.T, limits parts.CgroupLimits) *parts.Cgroup {
	t.Helper()
	if err := parts.CgroupsAllowed(); err != nil {
		parts.Missing(t, "no cgroups on this machine: %v", err)
	}
	c, err := parts.NewCgroup("gopprof-cadvisor", limits)
	return removed(t, c, err)
}

func child(t *testing.T, c *parts.Cgroup, name string, limits parts.CgroupLimits) *parts.Cgroup {
	t.Helper()
	inner, err := c.Child(name, limits)
	return removed(t, inner, err)
}

func removed(t *testing.T, c *parts.Cgroup, err error) *parts.Cgroup {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// burner starts a process that burns, in a cgroup if one is given. The second result ends it, at the end of
// the test at the latest; it stays a zombie until the third is called.
func burner(t *testing.T, c *parts.Cgroup) (pid int, kill, reap func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=burn")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := false
	kill = func() { _ = cmd.Process.Kill() }
	reap = func() {
		if !waited {
			waited = true
			_ = cmd.Wait()
		}
	}
	t.Cleanup(func() { kill(); reap() })
	if c != nil {
		if err := c.Add(cmd.Process.Pid); err != nil {
			t.Fatal(err)
		}
	}
	go func() { // until the burner ends
		buf := make([]byte, 4096)
		for {
			if _, err := out.Read(buf); err != nil {
				return
			}
		}
	}()
	return cmd.Process.Pid, kill, reap
}
