package notify

import "strings"

// twins are what the markdown of chats without an escape character would read, and what
// looks like it and is read as nothing: emphasis, links, tags, mentions, code, headings, and
// addresses that would become links by themselves.
var twins = strings.NewReplacer("*", "∗", "[", "［", "]", "］", "<", "＜", ">", "＞", "`", "'", "#", "＃", "@", "＠", "://", "∶//", "\\", "＼", "~", "∼", "|", "｜")

// Neutral makes a foreign text one bounded line that means nothing in the markdown of chats
// which know no escaping, and still reads the same.
func Neutral(s string, most int) string {
	s = twins.Replace(Clean(s, most))
	if strings.HasPrefix(s, "- ") || strings.HasPrefix(s, "+ ") { // a list, at the start of a line
		s = "–" + s[1:]
	}
	return s
}

// NeutralLines are foreign texts made harmless, without those that are empty, each between the
// markup of its line.
func NeutralLines(all []string, most int, before, after string) []string {
	var out []string
	for _, s := range all {
		if s = Neutral(s, most); s != "" {
			out = append(out, before+s+after)
		}
	}
	return out
}
