// Package kubernetes runs gopprof's main job in a real cluster: images, manifests, agents on
// every node, services with limits, an owner's webhook. See ../README.md.
//
// A cluster enters by way of KUBECONFIG; what was measured leaves on the test's output, and
// nothing stays behind. Nothing here may know more of gopprof than its manifests, its API
// and its NATS protocol: what a user has.
package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
)

// kubectl runs one command and returns what it printed.
func kubectl(ctx context.Context, args ...string) (string, error) {
	return kubectlWith(ctx, "", args...)
}

func kubectlWith(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// forward is a running `kubectl port-forward`.
type forward struct {
	addr string // on loopback
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

var forwarding = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+) `)

// startForward reaches a port of a pod's loopback, as a developer does.
func startForward(ctx context.Context, namespace, what string, port int) (*forward, error) {
	f := &forward{done: make(chan struct{})}
	f.cmd = exec.CommandContext(ctx, "kubectl", "-n", namespace, "port-forward", "--address=127.0.0.1", what, fmt.Sprintf(":%d", port))
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var errs bytes.Buffer
	f.cmd.Stderr = &errs
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("port-forward to %s: %w", what, err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := forwarding.FindStringSubmatch(lines.Text()); m != nil {
			f.addr = m[1]
			break
		}
	}
	go func() {
		defer close(f.done)
		_, _ = io.Copy(io.Discard, out)
		_ = f.cmd.Wait()
	}()
	if f.addr == "" {
		<-f.done
		return nil, fmt.Errorf("port-forward to %s: %s", what, strings.TrimSpace(errs.String()))
	}
	return f, nil
}

func (f *forward) stop() {
	if f != nil {
		_ = f.cmd.Process.Kill()
		<-f.done
	}
}

// client is a client of the aggregator's API, over a port-forward that is made anew when the pod was.
type client struct {
	forward *forward
	token   string // of a service account who may do everything
}

func (a *client) do(ctx context.Context, method, path string, body any, into any) error {
	data, err := a.bytes(ctx, method, path, body)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("decoding %s: %w", path, err)
	}
	return nil
}

func (a *client) bytes(ctx context.Context, method, path string, body any) ([]byte, error) {
	return a.as(ctx, a.token, method, path, body)
}

// as asks with another's token, or with none.
func (a *client) as(ctx context.Context, token, method, path string, body any) ([]byte, error) {
	if a.forward == nil {
		f, err := startForward(context.WithoutCancel(ctx), "gopprof", "pod/gopprof-aggregator-0", 7480)
		if err != nil {
			return nil, err
		}
		a.forward = f
	}
	data, err := a.ask(ctx, token, method, path, body)
	var refused *statusError
	if err != nil && !errors.As(err, &refused) {
		a.forward.stop() // the pod behind it is another one, perhaps
		a.forward = nil
	}
	return data, err
}

// statusError is an answer that is a refusal.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

func (a *client) ask(ctx context.Context, token, method, path string, body any) ([]byte, error) {
	if text, ok := body.(json.RawMessage); ok && len(text) == 0 {
		body = nil
	}
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.forward.addr+path, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the API: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("asking the API: %w", err)
	}
	if resp.StatusCode >= 300 {
		return nil, &statusError{resp.StatusCode, fmt.Sprintf("%s %s: %s: %.300s", method, path, resp.Status, data)}
	}
	return data, nil
}
