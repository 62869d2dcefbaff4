package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/ops"
)

const (
	// everyLetter is what Replay is told instead of an ID.
	everyLetter = "all"
	// lettersTimeout bounds each talk with the status port.
	lettersTimeout = time.Minute
)

// DeadLetters writes the dead letters of the aggregator that runs here, one on a line.
func DeadLetters(ctx context.Context, status ops.ServerConfig, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, lettersTimeout)
	defer cancel()
	return ops.Ask(ctx, status, http.MethodGet, lettersPath, out)
}

// Replay lets the aggregator that runs here handle a dead letter again, or all of them. One
// that cannot be does not hold up the others; the error names them.
func Replay(ctx context.Context, status ops.ServerConfig, id string, out io.Writer) error {
	if id != everyLetter {
		return replayOne(ctx, status, id, out)
	}
	var list bytes.Buffer
	if err := DeadLetters(ctx, status, &list); err != nil {
		return err
	}
	var refused []error
	asked := map[string]bool{}
	for lines := bufio.NewScanner(&list); lines.Scan(); {
		id, _, _ := strings.Cut(lines.Text(), "\t")
		if asked[id] {
			continue
		}
		asked[id] = true
		if err := replayOne(ctx, status, id, out); err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", id, err))
		}
	}
	return errors.Join(refused...)
}

func replayOne(ctx context.Context, status ops.ServerConfig, id string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, lettersTimeout)
	defer cancel()
	return ops.Ask(ctx, status, http.MethodPost, lettersPath+"/"+url.PathEscape(id), out)
}
