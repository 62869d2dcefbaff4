package notify

import (
	"net/url"
	"strings"
	"unicode"

	"github.com/gopprof/gopprof/pkg/text"
)

// Clean makes a foreign text one bounded line: without control, direction and invisible
// characters, at most so many characters long.
func Clean(s string, most int) string { return text.Line(s, most) }

// cleanAll cleans a list of texts, at most so many.
func cleanAll(all []string, count, most int) []string {
	var out []string
	for _, s := range all[:min(len(all), count)] {
		if s = Clean(s, most); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// SafeURL returns a foreign address built anew from its parts, so that nothing in it can end
// the link that it is put into, or false when it is none with http or https.
func SafeURL(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || len(raw) > 800 || u.User != nil {
		return "", false
	}
	if strings.ContainsFunc(u.Host, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("<>()[]|\"'`*", r) && !strings.HasPrefix(u.Host, "[")
	}) {
		return "", false
	}
	clean := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawQuery: u.Query().Encode(), Fragment: u.Fragment}).String()
	return linkEnds.Replace(clean), true
}

// linkEnds escapes what ends a link in one of the channels and is legal in a URL.
var linkEnds = strings.NewReplacer("(", "%28", ")", "%29", "'", "%27", "*", "%2A", "|", "%7C", "<", "%3C", ">", "%3E", "\"", "%22", "`", "%60", "\\", "%5C")
