package hostile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// Names are what a program may call its functions, files, labels and units, and a pod its
// owner, in order to leave their place: a page, a drawing, a graph's source, a chat, a
// document, a terminal.
func Names() []string {
	return append(profiletest.HostileNames(),
		// DOT: the end of a string, of an attribute list, of the graph; HTML labels; ports.
		`x"]; } digraph evil { a [URL="http://evil.example"]; } //`, `}`, `<b>bold</b>`, "N1:port", `\"\\\"`, "a\\\nb", "\\", `\n\l\r`, "//", "/* */", "#define",
		// SVG and HTML.
		`</text><a xlink:href="javascript:alert(1)"><text>`, `</title><script>alert(1)</script>`, `<foreignObject><body onload=alert(1)>`,
		`<svg onload=alert(1)>`, `<set attributeName=onmouseover to=alert(1)>`, `<!ENTITY x SYSTEM "file:///etc/passwd">`, `<![CDATA[`, `<?xml-stylesheet href="http://evil.example"?>`,
		`{{.}}{{template "head"}}`, `<iframe srcdoc=x>`, `<meta http-equiv=refresh content="0;url=http://evil.example">`, `&lt;script&gt;`, `&#x3c;script>`, "\u2028</script>",
		// Markdown and chats.
		"[click](javascript:alert(1))", "![x](http://evil.example/x.png)", "<http://evil.example|Report>", "<!channel>", "<@U012345>", "@everyone", "`code` **bold**", "```\n# x", "https://evil.example/ is here",
		// JSON, logs, headers.
		`","admin":true,"x":"`, "\\u0000", "\r\nSet-Cookie: x=y", "level=error msg=\"x\"",
		// Terminals: colours, titles, clipboard, links, one-byte CSI, the bell, backspace.
		"\x1b[31m", "\x1b]52;c;ZXZpbA==\a", "\x1b]8;;http://evil.example\x1b\\x\x1b]8;;\x1b\\", "\x9b31m", "\u009b31m", "\a\b\b\b\x7f", "\x1bP+q544e\x1b\\",
		// Characters that turn the direction, hide, or do not exist.
		"\u202egpj.exe", "\u2066x\u2069", "\u200b\u200d\ufeff", "\ufffe\U0010ffff", "\xed\xa0\x80", "\xc0\xaf", strings.Repeat("\u0301", 1000), strings.Repeat("<", 600), strings.Repeat("\x1b", 600),
	)
}

// names are profiles with such a name in every place that takes a string.
func names() []Case {
	var cases []Case
	for i, name := range Names() {
		title := fmt.Sprintf("name %02d %.24q", i, name)
		cases = append(cases, payload(title, gopprof.KindCPU, whole(profiletest.Hostile(name)), harmless))
	}
	return append(cases,
		payload("unit that is none", gopprof.KindCPU, whole(unit("cpu", `"];evil[URL="javascript:alert(1)`)), invalid),
		payload("type that is none", gopprof.KindCPU, whole(unit(`"];evil[URL="javascript:alert(1)`, "nanoseconds")), invalid),
		payload("all names in one profile", gopprof.KindCPU, whole(profiletest.CPU(1, calls(Names())...)), harmless),
	)
}

// unit is a profile whose one value is called so.
func unit(name, unit string) message {
	var m message
	for _, s := range []string{"", name, unit, "main.f"} {
		m = m.Text(profiletest.String, s)
	}
	m = m.Bytes(profiletest.SampleType, message{}.Varint(1, 1).Varint(2, 2))
	return sampled(located(m, 1, 3), 7)
}

// calls has each name call the next one.
func calls(names []string) []profiletest.Stack {
	var stacks []profiletest.Stack
	for pair := range slices.Chunk(names, 2) {
		stacks = append(stacks, profiletest.On(1e9, append(slices.Clone(pair), "main.main")...))
	}
	return stacks
}
