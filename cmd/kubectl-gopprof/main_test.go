package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCalled(t *testing.T) {
	for line, want := range map[string]string{
		"/usr/bin/kubectl-gopprof top x":               "kubectl gopprof: top x",
		"kubectl-gopprof.exe top":                      "kubectl gopprof: top",
		"/home/ann/go/bin/kubectl_complete-gopprof to": "kubectl gopprof: __complete to",
		"gopprof targets":                              "gopprof: targets",
		"./gopprof":                                    "gopprof: ",
	} {
		name, args := called(strings.Fields(line))
		if got := name + ": " + strings.Join(args, " "); got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
	args := []string{"kubectl_complete-gopprof", "a", "b"}
	if _, rest := called(args); !slices.Equal(args, []string{"kubectl_complete-gopprof", "a", "b"}) || len(rest) != 3 {
		t.Errorf("%v", args)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if err := wait(ctx, 0); err != nil {
		t.Error(err)
	}
	cancel()
	if err := wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
