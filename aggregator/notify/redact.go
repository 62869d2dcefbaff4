package notify

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// leastSecret is the length, in bytes, from which a part of an address may be a secret:
// shorter ones, as "v2", could be guessed, and stand in many an innocent word.
const leastSecret = 4

// redact takes a receiver's address, every part of it that may be secret, and the secrets
// beside it out of a text from elsewhere: each by itself and however it is escaped, the
// longest first, so that no end of one is left behind.
func redact(s string, address *url.URL, others ...string) string {
	for _, secret := range secretsOf(address, others) {
		s = strings.ReplaceAll(s, secret, hidden)
	}
	return s
}

// secretsOf lists what must not be seen, the longest first.
func secretsOf(address *url.URL, others []string) []string {
	var all []string
	for _, whole := range append(others, address.String(), address.RequestURI(), address.Path, address.RawQuery, address.User.String()) {
		if len(whole) > 1 {
			all = append(all, whole)
		}
	}
	for _, part := range parts(address) {
		for _, spelled := range []string{part, url.PathEscape(part), url.QueryEscape(part)} {
			if len(spelled) >= leastSecret {
				all = append(all, spelled)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(all)
}

// parts are the segments of an address's path, the values of its query (names where there is
// no value), and who logs in by which password: as they are written and as they are meant.
func parts(address *url.URL) []string {
	all := strings.Split(address.Path+"/"+address.EscapedPath(), "/")
	for field := range strings.FieldsFuncSeq(address.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(field, "=")
		written := cmp.Or(value, name)
		meant, err := url.QueryUnescape(written)
		if err != nil {
			meant = written
		}
		all = append(all, written, meant)
	}
	password, _ := address.User.Password()
	return append(all, address.User.Username(), password)
}

// redactCut is redact for a text that may have been cut in the middle of a secret: its end,
// as long as the longest secret, is dropped.
func redactCut(s string, address *url.URL, others ...string) string {
	all := secretsOf(address, others)
	s = redact(s, address, others...)
	if len(all) == 0 {
		return s
	}
	return s[:max(0, len(s)-len(all[0]))]
}
