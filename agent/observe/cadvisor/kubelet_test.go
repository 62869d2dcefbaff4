package cadvisor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	uid   = "6b1e0c5e-8a4f-4d0b-9a52-1f2e3d4c5b6a"
	uid_  = "6b1e0c5e_8a4f_4d0b_9a52_1f2e3d4c5b6a"
	id    = "11aa2f4c7e9b"
	other = "22bb2f4c7e9b"
)

// tree makes a hierarchy of these cgroups, with files as the kernel puts into each.
func tree(t *testing.T, paths ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, p := range append(paths, "/system.slice/ssh.service", "/user.slice/user-0.slice", "/init.scope") {
		if err := os.MkdirAll(filepath.Join(root, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "kubepods.not"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func finder(dir string, change func(*Config)) *kubelet {
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	return newKubelet(cfg, map[string]string{unified: dir})
}

// The trees that kubelets make: by driver, class of service, runtime, and place of the
// node itself.
func TestFindsContainersUnderEveryRoot(t *testing.T) {
	for name, want := range map[string]string{
		"cgroupfs, burstable":                "/kubepods/burstable/pod" + uid + "/" + id,
		"cgroupfs, guaranteed":               "/kubepods/pod" + uid + "/" + id,
		"cgroupfs, best effort":              "/kubepods/besteffort/pod" + uid + "/" + id,
		"cgroupfs, CRI-O":                    "/kubepods/burstable/pod" + uid + "/crio-" + id,
		"systemd, containerd, burstable":     "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uid_ + ".slice/cri-containerd-" + id + ".scope",
		"systemd, containerd, guaranteed":    "/kubepods.slice/kubepods-pod" + uid_ + ".slice/cri-containerd-" + id + ".scope",
		"systemd, CRI-O, best effort":        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + uid_ + ".slice/crio-" + id + ".scope",
		"systemd, Docker":                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uid_ + ".slice/docker-" + id + ".scope",
		"kubelab":                            "/k8s-lab1/kubepods/burstable/pod" + uid + "/" + id,
		"kind, seen from the node":           "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" + uid_ + ".slice/cri-containerd-" + id + ".scope",
		"kind, seen from its machine":        "/system.slice/docker-99.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + uid_ + ".slice/cri-containerd-" + id + ".scope",
		"kind in a container in a container": "/docker/1/docker/2/kubelet/kubepods/besteffort/pod" + uid + "/" + id,
	} {
		k := finder(tree(t, want, "/kubepods/burstable/pod-other/"+other, filepath.Dir(want)+"/"+other, filepath.Dir(want)+"/crio-conmon-"+id+".scope"), nil)
		if got, err := k.find(uid, id); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestStaticPodHasAnotherUID(t *testing.T) {
	const hash = "0123456789abcdef0123456789abcdef"
	want := "/kubepods/burstable/pod" + hash + "/" + id
	if got, err := finder(tree(t, want), nil).find(hash, id); got != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Two nodes on one machine, as in kubelab: each pod is found by its UID.
func TestTwoNodesOnOneMachine(t *testing.T) {
	first, second := "/k8s-lab1/kubepods/burstable/pod"+uid+"/"+id, "/k8s-lab2/kubepods/burstable/podu2/"+other
	k := finder(tree(t, first, second), nil)
	for want, of := range map[string][2]string{first: {uid, id}, second: {"u2", other}} {
		if got, err := k.find(of[0], of[1]); got != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}

func TestSearchesOnceAndAgainWhenSomethingMoved(t *testing.T) {
	first := "/kubepods/burstable/pod" + uid + "/" + id
	root := tree(t, first)
	k := finder(root, nil)
	now := time.Now()
	k.now = func() time.Time { return now }
	if got, err := k.find(uid, id); got != first || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := k.find(uid, other); !errors.Is(err, observe.ErrGone) {
		t.Errorf("another container: %v", err)
	}
	second := "/new/kubepods/pod" + uid + "/" + id
	if err := errors.Join(os.RemoveAll(filepath.Join(root, "kubepods")), os.MkdirAll(filepath.Join(root, second), 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := k.find(uid, id); !errors.Is(err, observe.ErrGone) {
		t.Errorf("searched again at once: %v", err)
	}
	now = now.Add(searchInterval)
	if got, err := k.find(uid, id); got != second || err != nil {
		t.Errorf("moved: %q, %v", got, err)
	}
}

func TestConfiguredRoot(t *testing.T) {
	want := "/a/b/c/d/e/f/g/h/i/kubepods.slice/kubepods-pod" + uid_ + ".slice/crio-" + id + ".scope"
	root := tree(t, want)
	if _, err := finder(root, nil).find(uid, id); !errors.Is(err, errNoKubepods) {
		t.Errorf("deeper than the search goes: %v", err)
	}
	k := finder(root, func(c *Config) { c.KubepodsRoot = "/a/b/c/d/e/f/g/h/i/kubepods.slice" })
	if got, err := k.find(uid, id); got != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := k.find(uid, other); !errors.Is(err, observe.ErrGone) {
		t.Error(err)
	}
}

func TestIDsAreNoPaths(t *testing.T) {
	k := finder(tree(t, "/kubepods/poda"), nil)
	for _, bad := range [][2]string{{"..", id}, {uid, ".."}, {"a/../..", id}, {uid, "a/b"}, {"", id}, {uid, ""}} {
		if got, err := k.find(bad[0], bad[1]); !errors.Is(err, errOutside) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

func TestNoKubeletHere(t *testing.T) {
	if _, err := finder(tree(t), nil).find(uid, id); !errors.Is(err, errNoKubepods) {
		t.Error(err)
	}
}

func inPod(uid, id string) gopprof.Target {
	return gopprof.Target{Pod: "p", Container: id, PodUID: uid, ContainerID: id}
}

func TestReadsAContainerByItsID(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		t.Run(version, func(t *testing.T) {
			if !in(t, version) {
				return
			}
			r := newReader(t, func(cfg *Config) { cfg.CgroupRoot = "testdata/" + version })
			for range 2 { // searched for, and remembered
				got := r.must(t, inPod("6b1e", "11aa"))
				if got.At, got.Clock, got.Instance = (time.Time{}), 0, 0; got != busy() {
					t.Errorf("%+v", got)
				}
			}
			static := inPod("other", "11aa")
			static.Cgroup.PodUID = "6b1e"
			r.must(t, static)
			if _, err := r.Read(t.Context(), inPod("6b1e", "99"), time.Now()); !errors.Is(err, observe.ErrGone) {
				t.Errorf("no such container: %v", err)
			}
		})
	}
}

// A container that restarts has another ID, in the same pod and under the same key.
func TestRestartedContainerIsFoundAgain(t *testing.T) {
	if !in(t, "v1") {
		return
	}
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/v1")); err != nil {
		t.Fatal(err)
	}
	r := newReader(t, func(cfg *Config) { cfg.CgroupRoot = root })
	target := inPod("6b1e", "11aa")
	before := r.must(t, target)
	for _, controller := range []string{"cpu,cpuacct", "memory"} {
		pod := filepath.Join(root, controller, pod1)
		if err := os.Rename(filepath.Join(pod, "11aa"), filepath.Join(pod, "55ee")); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(pod, "66ff"), os.DirFS(filepath.Join(pod, "55ee"))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Read(t.Context(), target, time.Now()); !errors.Is(err, observe.ErrGone) {
		t.Errorf("the former container: %v", err)
	}
	target.ContainerID = "66ff"
	if after := r.must(t, target); after.Instance == before.Instance || after.CPU != before.CPU {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
}
