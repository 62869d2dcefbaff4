package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
)

// ledgerKey is the one key of the budget's bucket.
const ledgerKey = "ledger"

// attempts bounds how often a change is tried again because another replica was faster.
const attempts = 20

// readLedger is the ledger as last read or written, so that an unchanged one is not decoded
// again, and those who asked before that need not read it again.
type readLedger struct {
	revision uint64 // 0: the key is not there
	ledger   ledger
	at       time.Time // when that reading or writing began; zero: not to be relied on
}

// changeLedger reads the ledger, lets change say what it becomes, and writes that at the
// revision that was read, again from the start when another replica wrote meanwhile.
// change returns what it was given and false when the ledger stays as it is. What was read
// since the call is not read again: a thousand agents who ask in the same moment share a few
// readings.
func (d *Dispatcher) changeLedger(ctx context.Context, change func(ledger) (ledger, bool)) error {
	called := time.Now()
	read, err := d.holdLedger(ctx)
	if err != nil {
		return err
	}
	defer func() { d.ledgers <- read }()
	return Contend(attempts, d.metrics.conflicts, func() error {
		if !read.at.After(called) {
			if err := d.refresh(ctx, read); err != nil {
				return fmt.Errorf("reading the budget: %w", err)
			}
		}
		l, set := read.ledger.withinClock(d.deps.Now())
		next, changed := change(l)
		if !changed && !set {
			return nil
		}
		if err := d.write(ctx, read, next); err != nil {
			*read = readLedger{} // somebody else wrote, or nobody knows whether we did
			return fmt.Errorf("writing the budget: %w", err)
		}
		return nil
	})
}

// holdLedger waits until nobody else of this process works on the ledger.
func (d *Dispatcher) holdLedger(ctx context.Context) (*readLedger, error) {
	select {
	case r := <-d.ledgers:
		return r, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the budget: %w", context.Cause(ctx))
	}
}

func (d *Dispatcher) refresh(ctx context.Context, read *readLedger) error {
	at := time.Now()
	value, revision, err := d.deps.Budget.Get(ctx, ledgerKey)
	if errors.Is(err, bus.ErrNoKey) {
		*read = readLedger{at: at}
		return nil
	}
	if err != nil {
		return err
	}
	if revision <= read.revision { // less: from a replica of NATS that is behind what we know
		read.at = at
		return nil
	}
	l, err := decodeLedger(value)
	if err != nil {
		// Written by a hand or a newer version: refusing everything for ever would be worse
		// than an hour's budget twice.
		d.log.Error("budget was unreadable and starts anew", zap.Error(err))
		l = ledger{}
	}
	*read = readLedger{revision: revision, ledger: l, at: at}
	return nil
}

// decodeLedger leaves out grants with texts that are none: we wrote no such ones, and they would
// grow with every writing.
func decodeLedger(value []byte) (l ledger, err error) {
	err = json.Unmarshal(value, &l)
	l.Grants = slices.DeleteFunc(l.Grants, func(g grant) bool {
		return strings.ContainsRune(g.Capture+g.Incident+g.Workload+g.Rule, utf8.RuneError)
	})
	return l, err
}

// encodeLedger writes it in few bytes: a "<" in a name would take six in JSON that is for HTML.
func encodeLedger(l ledger) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(l)
	return bytes.TrimSpace(b.Bytes()), err
}

func (d *Dispatcher) write(ctx context.Context, read *readLedger, next ledger) error {
	value, err := encodeLedger(next)
	if err != nil {
		return err
	}
	at := time.Now()
	var revision uint64
	if read.revision == 0 {
		revision, err = d.deps.Budget.Create(ctx, ledgerKey, value)
	} else {
		revision, err = d.deps.Budget.Update(ctx, ledgerKey, value, read.revision)
	}
	if err != nil {
		return err
	}
	*read = readLedger{revision: revision, ledger: next, at: at}
	return nil
}
