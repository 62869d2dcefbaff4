package ops

import (
	"context"
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
	if strings.HasSuffix(status.Listen, ":0") {
		return fmt.Errorf("probing %s: status.listen is %q: name a port", check, status.Listen)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+status.Listen+"/"+check, nil)
	if err != nil {
		return fmt.Errorf("probing %s: %w", check, err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return fmt.Errorf("probing %s: %w", check, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil {
		return fmt.Errorf("probing %s: %w", check, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", strings.TrimSpace(string(body)))
	}
	return nil
}
