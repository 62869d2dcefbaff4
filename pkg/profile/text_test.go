package profile

import (
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// What a text costs to print is known before it is printed.
func TestPrintedBytes(t *testing.T) {
	names := append(profiletest.HostileNames(), "", "main.f", "größe", "\ufffd", "\xff\xc3", strings.Repeat("ü", 300), strings.Repeat("\xff", 600), strings.Repeat("x", maxText), strings.Repeat("x", maxText+1))
	for _, s := range names {
		said := Printable(s, maxText)
		bytes, same := printedBytes(s, maxText)
		if of, as := printedBytes([]byte(s), maxText); of != bytes || as != same {
			t.Errorf("%.40q: %d, %t as bytes", s, of, as)
		}
		if bytes < len(said) || bytes > len(said)+12 || same && said != s {
			t.Errorf("%.40q: %d bytes, the same: %t; it is %d bytes", s, bytes, same, len(said))
		}
	}
	if _, same := printedBytes("example.com/größe.(*T[...]).f", maxText); !same {
		t.Error("a name of Go's is not left as it is")
	}
}
