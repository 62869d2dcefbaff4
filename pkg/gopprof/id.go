package gopprof

import (
	"fmt"
	"regexp"
)

var uuid7 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// CheckID tells what is wrong with an identifier of a capture, report, incident or
// operation. All of them are UUIDv7 (RFC 9562) in lower case: they sort by the time at
// which they were made, and are safe as a file name, a NATS token and a part of a URL.
func CheckID(id string) error {
	if !uuid7.MatchString(id) {
		return fmt.Errorf("identifier %q: not a UUIDv7 in lower case", clip(id, 64))
	}
	return nil
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
