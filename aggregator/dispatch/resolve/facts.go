package resolve

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	maxLinks      = 16 // of one pod, one namespace, or the configuration
	maxLinkBytes  = 2000
	maxOwnerBytes = 253
)

// facts is what is kept of an object.
type facts struct {
	owner string // by annotation
	label string // owner by label
	links map[string]string
}

// read takes from an object what may leave here.
func (r *Resolver) read(o *meta.ObjectMeta) facts {
	var f facts
	if owner := o.Annotations[annotationOwner]; validOwner(owner) {
		f.owner = owner
	}
	for _, label := range r.cfg.OwnerLabels {
		if owner := o.Labels[label]; f.label == "" && validOwner(owner) {
			f.label = owner
		}
	}
	f.links = linksOf(o.Annotations)
	return f
}

func linksOf(annotations map[string]string) map[string]string {
	var names []string
	for key := range annotations {
		if name, ok := strings.CutPrefix(key, annotationLink); ok && linkName.MatchString(name) && validLink(annotations[key]) != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names) // the same ones are left out each time
	links := map[string]string{}
	for _, name := range names[:min(len(names), maxLinks)] {
		links[name] = validLink(annotations[annotationLink+name])
	}
	return links
}

func validOwner(s string) bool {
	return s != "" && len(s) <= maxOwnerBytes && utf8.ValidString(s) && strings.TrimSpace(s) == s && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r)
	}) < 0
}

// validLink returns the address as it may be shown, or "".
func validLink(s string) string {
	if len(s) > maxLinkBytes {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return ""
	}
	if strings.Contains(u.Host, "%") { // a zone, which means something on one machine only
		return ""
	}
	if shown := u.String(); !strings.ContainsFunc(shown, endsLink) {
		return shown
	}
	return ""
}

// endsLink tells of characters at which a page or a message may take a link for ended: in a
// host net/url lets them pass, elsewhere it escapes them.
func endsLink(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("\"<>`", r)
}

// of returns the address for a target, or "" when it would be none.
func (l Link) of(t gopprof.Target) string {
	u := l.URL
	for name, value := range places(t) {
		u = strings.ReplaceAll(u, "{"+name+"}", url.QueryEscape(value))
	}
	return validLink(u)
}

// places is what may stand in braces. Values are escaped before they are put in, so none
// brings braces of its own.
func places(t gopprof.Target) map[string]string {
	return map[string]string{
		"cluster": t.Cluster, "node": t.Node, "namespace": t.Namespace, "kind": t.Workload.Kind,
		"workload": t.Workload.Name, "pod": t.Pod, "container": t.Container,
	}
}
