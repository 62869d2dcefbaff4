package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

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
