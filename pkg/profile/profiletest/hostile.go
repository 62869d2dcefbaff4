package profiletest

import (
	"math"
	"strings"
)

// HostileNames are function names, paths and labels that try to leave their place: a page,
// a drawing, a terminal, a graph's source.
func HostileNames() []string {
	return []string{
		`<script>alert(1)</script>`,
		`"];evil [URL="javascript:alert(1)" image="/etc/passwd"];x [label="`,
		`<<TABLE><TR><TD HREF="javascript:alert(1)"><IMG SRC="/etc/passwd"/></TD></TR></TABLE>>`,
		`a\`, `a\"`, `\N\G\L\E\T`, "a\x00b", "\x1b]0;title\a\x1b[2J",
		`javascript:alert(1)`, `&#0;&#1;&#60;script&#62;&quot;`, "\n\r\u2028\u202e", "\xff\xfe",
		`" onload="alert(1)`, `<image href="file:///etc/passwd"/>`, `]]><script/>`, `--></svg><svg onload=alert(1)>`,
		`url(http://evil/)`, "'; DROP", strings.Repeat("long", 100_000),
	}
}

// Hostile returns a CPU profile that has the name in every place that takes a string.
func Hostile(name string) []byte {
	var m Message
	for _, s := range []string{"", "samples", "count", "cpu", "nanoseconds", name, "bytes"} {
		m = m.Text(String, s)
	}
	const hostile, bytes = 5, 6
	m = m.Bytes(SampleType, Message{}.Varint(1, 1).Varint(2, 2)).Bytes(SampleType, Message{}.Varint(1, 3).Varint(2, 4))
	m = m.Bytes(SampleType, Message{}.Varint(1, hostile).Varint(2, hostile))
	m = m.Bytes(Mapping, Message{}.Varint(1, 1).Varint(2, 1).Varint(3, 1<<40).Varint(5, hostile).Varint(6, hostile))
	m = m.Bytes(Function, Message{}.Varint(1, 1).Varint(2, hostile).Varint(3, hostile).Varint(4, hostile).Varint(5, math.MaxUint64))
	m = m.Bytes(Location, Message{}.Varint(1, 1).Varint(2, 1).Varint(3, 77).Bytes(LocationLine, Message{}.Varint(1, 1)))
	m = m.Bytes(Location, Message{}.Varint(1, 2).Varint(2, 1).Varint(3, 78))
	text := Message{}.Varint(1, hostile).Varint(2, hostile)
	number := Message{}.Varint(1, bytes).Varint(3, 9).Varint(4, hostile)
	sample := Message{}.Packed(SampleLocation, 1, 2).Packed(SampleValue, 1, 10_000_000, 1)
	m = m.Bytes(Sample, sample.Bytes(SampleLabel, text).Bytes(SampleLabel, number))
	m = m.Varint(7, hostile).Varint(8, hostile).Varint(9, 1<<60).Varint(Duration, math.MaxUint64)
	m = m.Bytes(PeriodType, Message{}.Varint(1, hostile).Varint(2, hostile)).Varint(Period, 1)
	return Gzip(m.Packed(Comment, hostile, hostile).Varint(14, hostile).Varint(15, hostile))
}
