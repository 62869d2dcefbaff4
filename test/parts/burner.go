package parts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gopprof/gopprof/test/burner/catalog"
	"github.com/gopprof/gopprof/test/burner/pricing"
)

// The functions of the burner that stand at the top of its profiles.
const (
	BurnerHotFunction     = pricing.HotFunction
	BurnerGrowingFunction = catalog.GrowingFunction
)

// Burner is a running test/burner, a Go service that misbehaves on request.
type Burner struct {
	Addr string // host:port; pprof is under /debug/pprof
	PID  int

	cmd    *exec.Cmd
	input  io.Closer
	output io.Closer
}

// BuildBurner builds test/burner into dir and returns the program's path.
func BuildBurner(ctx context.Context, dir string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "burner")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./test/burner")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the burner: %w: %s", err, out)
	}
	return path, nil
}

// StartBurner starts the program at path on a free port of loopback, and waits until it
// listens. With a cgroup it is moved there before it does anything else. It ends with
// Stop, or with the process that started it.
func StartBurner(path string, cgroup *Cgroup, flags ...string) (*Burner, error) {
	return StartBurnerIn(path, cgroup, nil, flags...)
}

// StartBurnerIn is StartBurner with more variables in its environment, each as "NAME=value".
func StartBurnerIn(path string, cgroup *Cgroup, environment []string, flags ...string) (*Burner, error) {
	b := &Burner{cmd: exec.Command(path, append([]string{"-until-stdin-closes"}, flags...)...)}
	b.cmd.Stderr = os.Stderr
	b.cmd.Env = append(os.Environ(), environment...)
	if err := b.start(cgroup); err != nil {
		return nil, fmt.Errorf("starting the burner: %w", err)
	}
	return b, nil
}

func (b *Burner) start(cgroup *Cgroup) error {
	in, err := b.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	b.input, b.output = in, out
	if err := b.cmd.Start(); err != nil {
		return err
	}
	b.PID = b.cmd.Process.Pid
	if cgroup != nil {
		if err := cgroup.Add(b.PID); err != nil {
			return errors.Join(err, b.Stop())
		}
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		return errors.Join(fmt.Errorf("it said %q instead of its address: %w", line, err), b.Stop())
	}
	b.Addr = address
	return nil
}

// Heat makes it burn that many cores.
func (b *Burner) Heat(ctx context.Context, cores float64) error {
	return b.Post(ctx, fmt.Sprintf("/heat?cores=%g", cores))
}

// Cool takes it back to its base load.
func (b *Burner) Cool(ctx context.Context) error { return b.Post(ctx, "/cool") }

// Grow makes it keep so many more mebibytes.
func (b *Burner) Grow(ctx context.Context, mebibytes int) error {
	return b.Post(ctx, fmt.Sprintf("/grow?mb=%d", mebibytes))
}

// Post sends a request by its path and query. It waits ten seconds for an answer, or until
// the deadline of ctx, if that has one.
func (b *Burner) Post(ctx context.Context, path string) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.Addr+path, nil)
	if err != nil {
		return fmt.Errorf("asking the burner: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the burner: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("asking the burner %q: %s: %s", path, resp.Status, text)
	}
	return nil
}

// Stop ends it and waits until it has ended. A burner that was killed before is no error.
func (b *Burner) Stop() error {
	b.input.Close()
	b.output.Close()
	_ = b.cmd.Process.Kill()
	var exit *exec.ExitError
	if err := b.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("stopping the burner: %w", err)
	}
	return nil
}
