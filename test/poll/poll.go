// Package poll waits in tests for what happens by itself: no test sleeps for as long as
// something probably takes.
//
// A condition enters; nothing leaves but the end of the test when it never holds. It must
// never tell how fast something was.
package poll

import (
	"testing"
	"time"
)

// Patience is how long a test waits for something that must happen. It only bounds how
// late a failure is told, so it is long enough for a machine that does much else.
const Patience = 2 * time.Minute

// Until asks until the condition holds, and fails the test when it never does. What is
// named is what was waited for.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(Patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("did not happen within %s: %s", Patience, what)
		}
	}
}
