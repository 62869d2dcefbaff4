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

	"github.com/gopprof/gopprof/pkg/bus"
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
	ids, err := lettersIn(&list)
	if err != nil {
		return fmt.Errorf("reading the list of dead letters: %w", err)
	}
	var refused []error
	for _, id := range ids {
		if err := replayOne(ctx, status, id, out); err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", id, err))
		}
	}
	return errors.Join(refused...)
}

// lettersIn reads the IDs of a list of dead letters, each once, in its order. What is no such
// list is refused: it must not look like the end of one.
func lettersIn(list io.Reader) (ids []string, err error) {
	known := map[string]bool{}
	lines := bufio.NewScanner(list)
	for n := 1; lines.Scan(); n++ {
		id, _, _ := strings.Cut(lines.Text(), "\t")
		if _, err := bus.ParseToken(id); err != nil {
			return nil, fmt.Errorf("line %d names no letter: %w", n, err)
		}
		if !known[id] {
			known[id] = true
			ids = append(ids, id)
		}
	}
	return ids, lines.Err()
}

func replayOne(ctx context.Context, status ops.ServerConfig, id string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, lettersTimeout)
	defer cancel()
	return ops.Ask(ctx, status, http.MethodPost, lettersPath+"/"+url.PathEscape(id), out)
}
