package alerts

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// Bounds of single words, in bytes; what cuts them adds an end mark.
const (
	maxName        = 240
	maxFingerprint = 60
	endMark        = len("…")
)

// clean is what of an alert goes on: into the operation, the capture and the report.
func clean(receiver string, a api.NotifiedAlert) *gopprof.Alert {
	return &gopprof.Alert{
		Name: words(a.Labels["alertname"], maxName), Fingerprint: words(a.Fingerprint, maxFingerprint), StartsAt: a.StartsAt.UTC(),
		Labels: entries(a.Labels), Annotations: entries(a.Annotations), GeneratorURL: link(a.GeneratorURL), Receiver: words(receiver, maxName),
	}
}

// entries keeps the first labels or annotations in the order of their names, as far as there
// is room.
func entries(all map[string]string) map[string]string {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	kept, size := map[string]string{}, 0
	for _, name := range names[:min(len(names), gopprof.MaxAlertEntries)] {
		n, text := words(name, gopprof.MaxAlertName-endMark), words(all[name], gopprof.MaxAlertText-endMark)
		if _, twice := kept[n]; twice || n == "" || size+len(n)+len(text) > gopprof.MaxAlertBytes {
			continue
		}
		kept[n], size = text, size+len(n)+len(text)
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// words makes a text one that may be printed, of limit bytes and an end mark at most. What
// may not be printed is replaced by what takes up to three times as much room, so that the
// bound holds for the outcome.
func words(s string, limit int) string {
	s = profile.Printable(oneLine.Replace(s), limit)
	if len(s) <= limit+endMark {
		return s
	}
	for !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

var oneLine = strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ")

// link is a URL that a page may link to, or nothing.
func link(s string) string {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return ""
	}
	if s = u.String(); len(s) > gopprof.MaxAlertText || profile.Printable(s, len(s)) != s {
		return ""
	}
	return s
}
