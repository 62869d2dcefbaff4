package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// given tells whether there is anything to do.
func (l Load) given() bool { return l.URL != "" || len(l.Command) > 0 }

// run makes the load until ctx ends, or as often as it shall. What is refused is an error
// at the first time: later a program may be as busy as was intended.
func (l Load) run(ctx context.Context, fill func(string) string) error {
	if len(l.Command) > 0 {
		return runCommand(ctx, l.Command, fill)
	}
	client := &http.Client{Timeout: 30 * time.Second}
	tick := time.NewTicker(time.Duration(float64(time.Second) / l.perSecond()))
	defer tick.Stop()
	for n := 0; l.Times == 0 || n < l.Times; n++ {
		if err := l.ask(ctx, client, fill, n); err != nil && n == 0 {
			return err
		}
		if n+1 == l.Times {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func (l Load) perSecond() float64 {
	if l.PerSecond > 0 {
		return l.PerSecond
	}
	return 1
}

func (l Load) ask(ctx context.Context, client *http.Client, fill func(string) string, n int) error {
	method, lines := l.Method, max(l.Lines, 1)
	if method == "" {
		method = http.MethodPost
	}
	var body strings.Builder
	for i := range lines {
		body.WriteString(count(fill(l.Body), n*lines+i))
	}
	req, err := http.NewRequestWithContext(ctx, method, count(fill(l.URL), n), strings.NewReader(body.String()))
	if err != nil {
		return fmt.Errorf("making load: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("making load: %w", err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("making load: %s %s: %s: %.200s", method, req.URL, resp.Status, answer)
	}
	return nil
}

func count(text string, n int) string { return strings.ReplaceAll(text, "{n}", strconv.Itoa(n)) }

// runCommand runs a command that makes load, and ends it with ctx.
func runCommand(ctx context.Context, command []string, fill func(string) string) error {
	argv := make([]string, len(command))
	for i, word := range command {
		argv[i] = fill(word)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("making load: %w: %.500s", err, out)
	}
	return nil
}
