package child_test

import (
	"os/exec"
	"testing"

	"github.com/gopprof/gopprof/test/child"
)

func TestTheEndIsTold(t *testing.T) {
	end := make(chan error, 1)
	if err := child.Start(exec.Command("sh", "-c", "exit 3"), func(err error) { end <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-end; err == nil || err.Error() != "exit status 3" {
		t.Errorf("it ended with %v", err)
	}
}

func TestWhatDoesNotStartDoesNotEnd(t *testing.T) {
	err := child.Start(exec.Command("/does/not/exist"), func(err error) { t.Errorf("it ended with %v", err) })
	if err == nil {
		t.Error("it started")
	}
}
