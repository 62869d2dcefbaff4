package gopprof

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a pod's labels may amount to, so that those of all pods of a node fit into one
// message. Kubernetes itself has no bound on their number.
const (
	maxLabels     = 64
	maxLabelBytes = 2048
)

// JoinLabels writes labels as "key=value" in the order of their keys, separated by commas.
// It is false when they are more than can be told, or not what Kubernetes lets be labels.
func JoinLabels(labels map[string]string) (string, bool) {
	if len(labels) > maxLabels {
		return "", false
	}
	pairs := make([]string, 0, len(labels))
	size := 0
	for k, v := range labels {
		if k == "" || !plain(k) || !plain(v) {
			return "", false
		}
		pairs = append(pairs, k+"="+v)
		if size += len(k) + len(v) + 2; size > maxLabelBytes {
			return "", false
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ","), true
}

func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r == ',' || r == '=' || !unicode.IsPrint(r) })
}

// SplitLabels reads what JoinLabels wrote; nil when there are none.
func SplitLabels(joined string) map[string]string {
	if joined == "" {
		return nil
	}
	labels := map[string]string{}
	for pair := range strings.SplitSeq(joined, ",") {
		k, v, _ := strings.Cut(pair, "=")
		labels[k] = v
	}
	return labels
}
