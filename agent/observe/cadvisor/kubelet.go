package cadvisor

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gopprof/gopprof/agent/observe"
)

// Bounds of the search for the kubelet's cgroups. Nested nodes (kind in a container in a
// container) have them six levels down.
const (
	maxDepth       = 8
	maxDirectories = 8192
	searchInterval = time.Minute // between two searches
)

var errNoKubepods = errors.New("no cgroup of the kubelet (kubepods) below the cgroup root: mount the node's own cgroups there, or set kubepods_root")

// kubelet finds the cgroup of a container by the pod's UID and the container's ID, under
// whatever roots kubelets have on this machine. It searches for the roots once and again
// when something cannot be found, but not often.
type kubelet struct {
	dir string // of the hierarchy that is searched
	now func() time.Time

	mu       sync.Mutex // guards what follows
	fixed    bool       // the roots are configured
	roots    []string   // below dir
	searched time.Time
}

func newKubelet(cfg Config, mounts map[string]string) *kubelet {
	k := &kubelet{now: time.Now}
	for _, controller := range append(controllers(), unified) {
		if dir, ok := mounts[controller]; ok {
			k.dir = dir
			break
		}
	}
	if cfg.KubepodsRoot != "" {
		k.fixed, k.roots = true, []string{path.Clean(cfg.KubepodsRoot)}
	}
	return k
}

// idText is what a UID or an ID may be: one name of a directory.
var idText = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]*$`)

// find returns the path of the container's cgroup below the hierarchy. Where there is none
// the error is observe.ErrGone.
func (k *kubelet) find(podUID, containerID string) (string, error) {
	if !idText.MatchString(podUID) || !idText.MatchString(containerID) {
		return "", fmt.Errorf("container %q of pod %q: %w", containerID, podUID, errOutside)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, ok := k.look(podUID, containerID); ok {
		return p, nil
	}
	if !k.fixed && (k.searched.IsZero() || k.now().Sub(k.searched) >= searchInterval) {
		k.searched, k.roots = k.now(), search(k.dir)
		if p, ok := k.look(podUID, containerID); ok {
			return p, nil
		}
	}
	if len(k.roots) == 0 {
		return "", errNoKubepods
	}
	return "", fmt.Errorf("no cgroup of container %q of pod %q: %w", containerID, podUID, observe.ErrGone)
}

// look looks where the roots that are known would have it. The caller holds mu.
func (k *kubelet) look(podUID, containerID string) (string, bool) {
	for _, root := range k.roots {
		for _, pod := range podPaths(root, podUID) {
			if p, ok := k.container(pod, containerID); ok {
				return p, true
			}
		}
	}
	return "", false
}

// podPaths are the cgroups that a pod has in each class of service, by the kubelet's
// cgroupfs driver or by its systemd driver, which the root's name tells apart.
func podPaths(root, uid string) []string {
	name, systemd := strings.CutSuffix(path.Base(root), ".slice")
	if !systemd {
		pod := "pod" + uid
		return []string{path.Join(root, "burstable", pod), path.Join(root, pod), path.Join(root, "besteffort", pod)}
	}
	pod := "-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice"
	class := func(class string) string { return path.Join(root, name+class+".slice", name+class+pod) }
	return []string{class("-burstable"), path.Join(root, name+pod), class("-besteffort")}
}

// container finds a container among those of a pod, whatever the runtime puts around its
// ID: "ID", "crio-ID", "cri-containerd-ID.scope", "docker-ID.scope".
func (k *kubelet) container(pod, id string) (string, bool) {
	entries, err := os.ReadDir(filepath.Join(k.dir, pod))
	if err != nil {
		return "", false
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".scope")
		prefix, ok := strings.CutSuffix(name, id)
		if !e.IsDir() || !ok || (prefix != "" && !strings.HasSuffix(prefix, "-")) {
			continue
		}
		if strings.Contains(prefix, "conmon") { // CRI-O's monitor of the container
			continue
		}
		return path.Join(pod, e.Name()), true
	}
	return "", false
}

// search walks the hierarchy, the nearest cgroups first, and returns those in which
// kubelets hold their pods.
func search(dir string) (roots []string) {
	level := []string{"/"}
	looked := 0
	for depth := 0; depth < maxDepth && len(level) > 0; depth++ {
		var next []string
		for _, parent := range level {
			if looked++; looked > maxDirectories {
				return roots
			}
			entries, err := os.ReadDir(filepath.Join(dir, parent))
			if err != nil {
				continue // removed meanwhile, or not ours to read
			}
			for _, e := range entries {
				switch p := path.Join(parent, e.Name()); {
				case !e.IsDir():
				case isKubepods(e.Name()):
					roots = append(roots, p)
				default:
					next = append(next, p)
				}
			}
		}
		level = next
	}
	return roots
}

// isKubepods knows the cgroup that holds all pods: kubepods, kubepods.slice, and below
// another root, kubelet-kubepods.slice.
func isKubepods(name string) bool {
	slice, systemd := strings.CutSuffix(name, ".slice")
	return name == "kubepods" || systemd && (slice == "kubepods" || strings.HasSuffix(slice, "-kubepods"))
}
