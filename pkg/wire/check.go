package wire

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxName is the longest name of a node, pod, workload and the like, in bytes: that of
// Kubernetes. Several of them, with every byte escaped, must fit into one subject.
const maxName = 253

// maxText is the longest other word, such as the name of an image, in bytes.
const maxText = 1024

// checkID says whether id is an identifier, naming the field that holds it.
func checkID(field, id string) error {
	if err := gopprof.CheckID(id); err != nil {
		return fmt.Errorf("%s: %w: %w", field, ErrID, err)
	}
	return nil
}

// checkSame says whether the envelope names the same thing as the data.
func checkSame(envelope, id string) error {
	if envelope != id {
		return fmt.Errorf("%w: the event is %q, its data %q", ErrID, clip(envelope), clip(id))
	}
	return nil
}

// CheckTarget refuses names that no subject, key or page could carry: every message about
// such a target would be refused.
func CheckTarget(t gopprof.Target) error {
	if t.Node == "" {
		return fmt.Errorf("target: %w: no node", ErrInvalid)
	}
	for _, w := range []struct {
		field string
		most  int
		word  string
	}{
		{"cluster", maxName, t.Cluster}, {"node", maxName, t.Node}, {"namespace", maxName, t.Namespace},
		{"workload's kind", maxName, t.Workload.Kind}, {"workload's name", maxName, t.Workload.Name},
		{"pod", maxName, t.Pod}, {"container", maxName, t.Container}, {"build", maxName, t.Build},
		{"GOGC", maxWord, t.Runtime.GOGC}, {"GOMEMLIMIT", maxWord, t.Runtime.GOMEMLIMIT}, {"GOMAXPROCS", maxWord, t.Runtime.GOMAXPROCS},
		{"pod's UID", maxText, t.PodUID}, {"container's ID", maxText, t.ContainerID}, {"image", maxText, t.Image}, {"owner", maxText, t.Owner},
		{"scheme", maxText, t.Endpoint.Scheme}, {"host", maxText, t.Endpoint.Host}, {"path", maxText, t.Endpoint.Path},
	} {
		if err := checkWords(w.field, w.most, w.word); err != nil {
			return fmt.Errorf("target: %w", err)
		}
	}
	return nil
}

// checkLabels refuses more labels of a target's pod, or others, than an agent tells.
func checkLabels(t gopprof.Target, labels map[string]string) error {
	if _, ok := gopprof.JoinLabels(labels); !ok {
		return fmt.Errorf("target %q: %w: labels that no pod has", clip(t.Key()), ErrInvalid)
	}
	return nil
}

func checkNames(field string, names ...string) error { return checkWords(field, maxName, names...) }

// checkWords refuses what is too long, or would do something where it is printed: control
// characters, and those that hide or turn the direction of writing.
func checkWords(field string, most int, words ...string) error {
	for _, n := range words {
		if len(n) > most || !utf8.ValidString(n) || strings.ContainsFunc(n, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("%s: %w: %q must be at most %d bytes that can be printed", field, ErrInvalid, clip(n), most)
		}
	}
	return nil
}

// checkTimes refuses times that JSON has no room for in UTC, where an offset hides that: who
// believed them could not write down what he makes of them. None is year 1.
func checkTimes(field string, times ...time.Time) error {
	for _, t := range times {
		if y := t.UTC().Year(); y < 1 || y > 9999 {
			return fmt.Errorf("%s: %w: a time of year %d", field, ErrInvalid, y)
		}
	}
	return nil
}

// checkProfiles checks what a capture says of its files: each kind once, sizes and sums
// that can be true.
func checkProfiles(profiles []gopprof.Profile) error {
	seen := map[gopprof.Kind]bool{}
	for _, p := range profiles {
		if err := checkKind(p.Kind); err != nil {
			return err
		}
		if seen[p.Kind] {
			return fmt.Errorf("profiles: %w: kind %q twice", ErrInvalid, p.Kind)
		}
		seen[p.Kind] = true
		if p.SizeBytes <= 0 || p.Seconds < 0 {
			return fmt.Errorf("profile %q: %w: %d bytes, %g seconds", p.Kind, ErrInvalid, p.SizeBytes, p.Seconds)
		}
		if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != 32 || strings.ToLower(p.SHA256) != p.SHA256 {
			return fmt.Errorf("profile %q: %w: sha256 %q", p.Kind, ErrInvalid, clip(p.SHA256))
		}
	}
	return nil
}

// checkKind accepts the exact names of kinds only: they become file names.
func checkKind(k gopprof.Kind) error {
	if got, err := gopprof.ParseKind(string(k)); err != nil || got != k {
		return fmt.Errorf("kind %q: %w", clip(string(k)), ErrInvalid)
	}
	return nil
}

func checkKinds(kinds []gopprof.Kind) error {
	if len(kinds) > len(gopprof.Kinds()) {
		return fmt.Errorf("kinds: %w: %d of them", ErrInvalid, len(kinds))
	}
	for _, k := range kinds {
		if err := checkKind(k); err != nil {
			return err
		}
	}
	return nil
}
