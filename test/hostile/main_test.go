package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile/victim/job"
)

const (
	// mostBytes of memory is what one hostile target may get out of either program.
	mostBytes = 128_000_000
	// mostTime is when a victim is killed: the machine is busy, and may be much slower.
	mostTime = 5 * time.Minute
)

// scratch is removed when all tests are done.
var scratch string

func TestMain(m *testing.M) {
	code, err := nowhere(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		code = 1
	}
	os.Exit(code)
}

// victim is the path of the program, which is built without the race detector.
func victim() string { return filepath.Join(scratch, "victim") }

func buildVictim() error {
	if out, err := exec.Command("go", "build", "-o", victim(), "./victim").CombinedOutput(); err != nil {
		return fmt.Errorf("building the victim: %w: %s", err, out)
	}
	return nil
}

// payloads are written once, for both programs.
var payloads = sync.OnceValues(func() (job.Written, error) {
	jobs := []job.Write{{Dir: scratch, Most: bus.DefaultStreamConfig().CaptureMaxBytes}}
	done, err := suffer[job.Write, job.Written](context.Background(), "write", jobs)
	if err != nil {
		return nil, err
	}
	return done[0], nil
})

// written is the file of a payload, or "" for one that is longer than a capture may be.
func written(t *testing.T, c Case, k gopprof.Kind) string {
	t.Helper()
	all, err := payloads()
	if err != nil {
		t.Fatal(err)
	}
	return all[c.Name][k]
}

// suffer has a victim in one of its roles do jobs. Whatever happens to it ends with it:
// it limits its own memory, and it is killed after mostTime.
func suffer[J, R any](ctx context.Context, role string, jobs []J, env ...string) ([]R, error) {
	in, err := json.Marshal(jobs)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, mostTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, victim(), role)
	cmd.Env = append(os.Environ(), append(env, "GOMEMLIMIT=off", "GOGC=100")...)
	cmd.Stdin = bytes.NewReader(in)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the victim %s: %w (%v): %.4000s", role, err, ctx.Err(), &complaint)
	}
	var results []R
	if err := json.Unmarshal(out.Bytes(), &results); err != nil {
		return nil, err
	}
	if len(results) != len(jobs) {
		return nil, fmt.Errorf("the victim %s did %d jobs of %d", role, len(results), len(jobs))
	}
	return results, nil
}

// groups are cases that share a victim: all light ones, and every other alone.
func groups(cases []Case) [][]Case {
	var together []Case
	var out [][]Case
	for _, c := range cases {
		if c.Light {
			together = append(together, c)
		} else {
			out = append(out, []Case{c})
		}
	}
	return append(out, together)
}
