package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// probeTimeout is how long a program may take to say how it is. It is shorter than the
// time-out that manifests give a probe, so that the answer is ours and has a text.
const probeTimeout = 4 * time.Second

// The checks that Probe knows.
const (
	CheckLive  = "livez"
	CheckReady = "readyz"
)

// Probe asks the status port of the program that runs beside us (as an exec probe of
// Kubernetes does) whether it is alive or ready; nil means that it is. So nothing needs to
// listen beyond loopback for the kubelet's sake.
func Probe(ctx context.Context, status ServerConfig, check string) error {
	if check != CheckLive && check != CheckReady {
		return fmt.Errorf("probing: %q is neither %s nor %s", check, CheckLive, CheckReady)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return Ask(ctx, status, http.MethodGet, "/"+check, io.Discard)
}

// complaintMost bounds what is read of an answer that is an error.
const complaintMost = 16 << 10

// Ask asks the status port of the program that runs beside us and writes its answer to
// out. An answer that is not 200 is an error with its text. Only loopback is asked: there
// nobody else can answer in the program's place.
func Ask(ctx context.Context, status ServerConfig, method, path string, out io.Writer) error {
	if problem := CheckListen(status.Listen, false); problem != "" {
		return fmt.Errorf("asking %s: status.listen: %s", path, problem)
	}
	if strings.HasSuffix(status.Listen, ":0") {
		return fmt.Errorf("asking %s: status.listen is %q: name a port", path, status.Listen)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+status.Listen+path, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", path, err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return fmt.Errorf("asking %s: %w", path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(resp.Body, complaintMost))
		if err != nil {
			return fmt.Errorf("asking %s: %w", path, err)
		}
		return errors.New(strings.TrimSpace(string(body)))
	}
	if _, err := io.Copy(out, resp.Body); err != nil {
		return fmt.Errorf("asking %s: %w", path, err)
	}
	return nil
}
