package cadvisor

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

// These tests read trees of files as the kernel and the kubelet make them, of both
// versions of cgroups, each where the process sees that version at /sys/fs/cgroup.

const (
	burstable2 = "/kubepods.slice/kubepods-burstable.slice/"
	pod2       = burstable2 + "kubepods-burstable-pod6b1e.slice/"
	pod1       = "/kubepods/burstable/pod6b1e/"
)

type fixtureCase struct {
	name   string
	cgroup gopprof.Cgroup
	want   observe.Sample
	err    error // instead
}

// busy is what the container 11aa of both trees says.
func busy() observe.Sample {
	return observe.Sample{
		HasCPU: true, CPU: 123456789 * time.Microsecond, Periods: 6000, ThrottledPeriods: 1500, CPULimitCores: 0.5,
		HasMemory: true, WorkingSetBytes: 64 << 20, AnonymousBytes: 48 << 20, MemoryLimitBytes: 128 << 20,
	}
}

// idle is a container without limits of its own, in a pod with these.
func idle(cores float64, memory uint64) observe.Sample {
	return observe.Sample{
		HasCPU: true, CPU: 5 * time.Second, CPULimitCores: cores,
		HasMemory: true, WorkingSetBytes: 64 << 20, AnonymousBytes: 48 << 20, MemoryLimitBytes: memory,
	}
}

func TestFixturesOfV2(t *testing.T) {
	if !in(t, "v2") {
		return
	}
	run(t, "testdata/v2", []fixtureCase{
		{"container and pod limited", gopprof.Cgroup{Path: pod2 + "cri-containerd-11aa.scope"}, busy(), nil},
		{"by process", gopprof.Cgroup{PID: 100}, busy(), nil},
		{"pod limited", gopprof.Cgroup{Path: pod2 + "cri-containerd-22bb.scope"}, idle(1.5, 128<<20), nil},
		{"only its class and all pods limited", gopprof.Cgroup{Path: burstable2 + "kubepods-burstable-pod7c2f.slice/cri-containerd-33cc.scope"}, idle(0, 0), nil},
		{"no memory controller", gopprof.Cgroup{Path: "/system.slice/checkout.service"}, observe.Sample{HasCPU: true, CPU: 7 * time.Second}, nil},
		{"vanished", gopprof.Cgroup{Path: pod2 + "cri-containerd-44dd.scope"}, observe.Sample{}, observe.ErrGone},
		{"process in the root cgroup", gopprof.Cgroup{PID: 101}, observe.Sample{}, errRoot},
		{"process of a removed cgroup", gopprof.Cgroup{PID: 102}, observe.Sample{}, observe.ErrGone},
		{"process outside of this cgroup namespace", gopprof.Cgroup{PID: 103}, observe.Sample{}, errOutside},
		{"zombie", gopprof.Cgroup{PID: 104}, observe.Sample{}, observe.ErrGone},
		{"no such process", gopprof.Cgroup{PID: 999}, observe.Sample{}, observe.ErrGone},
		{"process of a relative path", gopprof.Cgroup{PID: 107}, observe.Sample{}, errOutside},
	})
}

func TestFixturesOfV1(t *testing.T) {
	if !in(t, "v1") {
		return
	}
	memoryOnly := idle(0, 128<<20)
	memoryOnly.HasCPU, memoryOnly.CPU = false, 0
	run(t, "testdata/v1", []fixtureCase{
		{"container and pod limited", gopprof.Cgroup{Path: pod1 + "11aa"}, busy(), nil},
		{"by process", gopprof.Cgroup{PID: 105}, busy(), nil},
		{"pod limited", gopprof.Cgroup{Path: pod1 + "22bb"}, idle(1.5, 128<<20), nil},
		{"only all pods limited", gopprof.Cgroup{Path: "/kubepods/pod8d30/44dd"}, idle(0, 0), nil},
		{"process with a memory cgroup only", gopprof.Cgroup{PID: 106}, memoryOnly, nil},
		{"vanished", gopprof.Cgroup{Path: pod1 + "33cc"}, observe.Sample{}, observe.ErrGone},
		{"process of v2", gopprof.Cgroup{PID: 102}, observe.Sample{}, errRoot},
	})
}

// A v1 cgroup is removed from one hierarchy after the other.
func TestHalfRemovedCgroupIsGone(t *testing.T) {
	if !in(t, "v1") {
		return
	}
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/v1")); err != nil {
		t.Fatal(err)
	}
	r := newReader(t, func(cfg *Config) { cfg.CgroupRoot = root })
	r.must(t, at(pod1+"11aa"))
	if err := os.RemoveAll(filepath.Join(root, "cpu,cpuacct", pod1, "11aa")); err != nil {
		t.Fatal(err)
	}
	if s, err := r.Read(t.Context(), at(pod1+"11aa"), time.Now()); !errors.Is(err, observe.ErrGone) {
		t.Errorf("%v, %+v", err, s)
	}
}

func run(t *testing.T, root string, cases []fixtureCase) {
	r := newReader(t, func(cfg *Config) { cfg.CgroupRoot, cfg.ProcRoot = root, "testdata/proc" })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.Read(t.Context(), gopprof.Target{Pod: c.name, Cgroup: c.cgroup}, time.Now())
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			got.At, got.Clock, got.Instance = time.Time{}, 0, 0
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestPathsThatAreRefused(t *testing.T) {
	r := newReader(t, nil)
	for _, c := range []struct {
		path string
		want error
	}{
		{"", errNoCgroup}, {"/", errRoot}, {"//", errRoot}, {".", errRoot}, {"/..", errRoot},
		{"/a/../../etc", errOutside}, {"../../etc", errOutside}, {"/a/./b", errOutside},
	} {
		if _, err := r.Read(t.Context(), at(c.path), time.Now()); !errors.Is(err, c.want) {
			t.Errorf("path %q: %v, want %v", c.path, err, c.want)
		}
	}
}

func TestNewRefusesWhatItCannotRead(t *testing.T) {
	for name, root := range map[string]string{"nothing there": "/nowhere", "no controllers": t.TempDir()} {
		if _, err := New(Config{CgroupRoot: root}); err == nil || !strings.Contains(err.Error(), root) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// cAdvisor would read zeros here.
func TestNewRefusesARootOfTheOtherVersion(t *testing.T) {
	if !in(t, "v1") {
		return
	}
	dir := t.TempDir()
	if err := mountCgroups2(dir); err != nil {
		t.Fatal(err)
	}
	cgroups.TestMode = false
	t.Cleanup(func() {
		cgroups.TestMode = true
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	if _, err := New(Config{CgroupRoot: dir}); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("a v2 root in a v1 process: %v", err)
	}
}

func TestParentWhoseLimitCounts(t *testing.T) {
	for path, want := range map[string]string{
		"/a":                                  "",
		"/a/b":                                "/a",
		"/kubepods/pod1":                      "",
		"/kubepods/pod1/c":                    "/kubepods/pod1",
		"/kubepods/burstable":                 "",
		"/burstable/x":                        "/burstable",
		"/lab/kubepods/pod1":                  "",
		"/lab/kubepods/pod1/c":                "/lab/kubepods/pod1",
		"/kubepods/besteffort/pod1":           "",
		"/kubepods/besteffort/pod1/c":         "/kubepods/besteffort/pod1",
		"/kubepods.slice/kubepods-pod1.slice": "",
		"/kubepods.slice/kubepods-pod1.slice/c.scope":                                                                    "/kubepods.slice/kubepods-pod1.slice",
		"/kubepods.slice/kubepods-burstable.slice/x.slice":                                                               "",
		"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1.slice":                                              "",
		"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod1.slice": "",
	} {
		if got, _ := parentOf(path); got != want {
			t.Errorf("parent of %q is %q, want %q", path, got, want)
		}
	}
}

func TestConfigTellsEveryMistake(t *testing.T) {
	var keys []string
	report := func(key, _ string) { keys = append(keys, key) }
	if DefaultConfig().Check(report); len(keys) > 0 {
		t.Errorf("the defaults are wrong: %v", keys)
	}
	Config{CgroupRoot: "sys", LimitsInterval: -1, KubepodsRoot: "/a/../.."}.Check(report)
	if got := strings.Join(keys, " "); got != "cgroup_root proc_root without_limit request_factor kubepods_root limits_interval" {
		t.Errorf("mistakes in %s", got)
	}
}

// FuzzProc: whatever a file of /proc says, a process's cgroups lie below the mounts, and a
// node has as many cores as lines say so, and memory that can be counted.
func FuzzProc(f *testing.F) {
	files, err := filepath.Glob("testdata/proc/*/cgroup")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for _, s := range []string{
		"cpu  1 2\ncpu0 1\ncpu1 1\nintr 5\n", "MemTotal:       16314220 kB\nMemFree:         1 kB\n", "cpu0 1\nMemTotal: 5 kB\n",
		"cpu-1 x\ncpu+1 x\ncpu99999999999999999999\ncpu1\ncpu1", "MemTotal: 18446744073709551615 kB", "MemTotal: 18014398509481984 kB\n",
		"MemTotal:-1 kB", "MemTotal: 1", "MemTotal:\nMemTotal: 5 kB", strings.Repeat("x", 70_000) + "\ncpu0 1\nMemTotal: 5 kB\n",
	} {
		f.Add(s)
	}
	for _, name := range hostile.Names() {
		f.Add("0::/" + name)
		f.Add("MemTotal: " + name + "\ncpu0" + name + "\ncpu0 " + name)
	}
	r, dir := &Reader{mounts: map[string]string{unified: "/mounted", "cpu": "/mounted/cpu"}}, f.TempDir()
	f.Fuzz(func(t *testing.T, data string) {
		below, err := r.owned(data)
		for controller, p := range below {
			if full := filepath.Join("/mounted", p); err != nil || p == "/" || !strings.HasPrefix(full, "/mounted/") {
				t.Errorf("%q → %q of %q, %v", data, p, controller, err)
			}
		}
		checkCapacity(t, dir, data)
	})
}

// checkCapacity checks what a node's capacity is read as, where both files say the same.
func checkCapacity(t *testing.T, dir, data string) {
	t.Helper()
	if n := cores([]byte(data)); n < 0 || n > strings.Count(data, "cpu") {
		t.Errorf("%d cores", n)
	}
	n := memTotal([]byte(data))
	if kib := strconv.FormatUint(n>>10, 10); n != 0 && !strings.Contains(data, kib) {
		t.Errorf("%d bytes, which nobody said", n)
	}
	for _, name := range []string{"stat", "meminfo"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := capacity(dir)
	if err == nil && (l.cpuCores <= 0 || l.memoryBytes == 0) || err != nil && l != (limits{}) {
		t.Errorf("%+v, %v", l, err)
	}
}
