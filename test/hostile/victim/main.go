// Command victim meets one hostile target as agent or aggregator would, in a process of
// its own: what it costs is then seen from outside, and what it ruins is its own.
//
// Jobs enter on standard input and what came of them leaves on standard output, both as
// JSON. It is built without the race detector, which multiplies memory, and limits itself
// to a gibibyte before it reads anything.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/aggregator/draw/views"
)

// mostBytes of data is what a defect may take before it ends the process.
const mostBytes = 1 << 30

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "victim:", err)
		os.Exit(1)
	}
}

func run(role string) error {
	switch role { // limited by whoever starts them
	case drawWorker:
		return draw.Worker(os.Stdin, os.Stdout)
	case viewWorker:
		return views.Worker(os.Stdin, os.Stdout)
	}
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: mostBytes, Max: mostBytes}); err != nil {
		return fmt.Errorf("limiting memory: %w", err)
	}
	switch role {
	case "write":
		return all(payloads)
	case "take":
		return all(capture)
	case "report":
		return all(report)
	}
	return fmt.Errorf("no such role: %q", role)
}

// all reads a list of jobs, does one after the other, and writes what came of each.
func all[J, R any](do func(J) (R, error)) error {
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fmt.Errorf("reading the jobs: %w", err)
	}
	var jobs []J
	if err := json.Unmarshal(data, &jobs); err != nil {
		return fmt.Errorf("reading the jobs: %w", err)
	}
	results := make([]R, len(jobs))
	for i, j := range jobs {
		if results[i], err = do(j); err != nil {
			return fmt.Errorf("job %d: %w", i, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

// The roles in which draw and views start this program.
const (
	drawWorker = "draw-worker"
	viewWorker = "view-worker"
)
