package operations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxKey bounds an idempotency key, in bytes.
const maxKey = 255

// claimed is what is kept under a key.
type claimed struct {
	Operation string `json:"operation"`
	Request   string `json:"request"` // sha256 of the request
}

// askedBefore returns the operation that the same caller's request under the same key was
// given; one without ID when there is none.
func (k *Keeper) askedBefore(ctx context.Context, m gopprof.Manual) (gopprof.Operation, error) {
	if m.Key == "" {
		return gopprof.Operation{}, nil
	}
	if len(m.Key) > maxKey {
		return gopprof.Operation{}, bad("an idempotency key of %d bytes: at most %d", len(m.Key), maxKey)
	}
	first, revision, err := k.readClaim(ctx, m)
	if errors.Is(err, bus.ErrNoKey) {
		return gopprof.Operation{}, nil
	}
	if err != nil {
		return gopprof.Operation{}, err
	}
	op, _, err := k.read(ctx, first.Operation)
	if gopprof.ReasonOf(err) == gopprof.ReasonUnknown { // refused since, or never written
		return gopprof.Operation{}, nil
	}
	if err == nil && m.Alert != nil {
		k.keepClaim(ctx, m, first, revision)
	}
	return op, err
}

// keepClaim writes the key of an alert that goes on firing once more: keys are forgotten
// before operations are, and an alert is repeated for as long as it lasts. What is not
// written now is with the next repetition.
func (k *Keeper) keepClaim(ctx context.Context, m gopprof.Manual, first claimed, revision uint64) {
	value, err := json.Marshal(first)
	if err == nil {
		_, err = k.deps.Keys.Update(ctx, claimKey(m), value, revision)
	}
	if err != nil && !errors.Is(err, bus.ErrConflict) {
		k.log.Warn("key of an alert not kept", zap.String("operation", first.Operation), zap.Error(err))
	}
}

// claim returns the ID that the operation of a request shall have: a new one, or the one
// that the same request under the same key has claimed. It is written down before the
// operation: whoever asks twice, at once or after a crash, gets one operation.
func (k *Keeper) claim(ctx context.Context, m gopprof.Manual) (string, error) {
	id := k.deps.NewID()
	if m.Key == "" {
		return id, nil
	}
	value, err := json.Marshal(claimed{Operation: id, Request: requestSum(m)})
	if err != nil {
		return "", fmt.Errorf("writing an idempotency key: %w", err)
	}
	_, err = k.deps.Keys.Create(ctx, claimKey(m), value)
	if errors.Is(err, bus.ErrConflict) {
		first, _, err := k.readClaim(ctx, m)
		return first.Operation, err
	}
	if err != nil {
		return "", away(fmt.Errorf("keeping an idempotency key: %w", err))
	}
	return id, nil
}

// readClaim returns what is kept under a request's key. The error is bus.ErrNoKey when
// there is nothing, and bad_input when it is another request's.
func (k *Keeper) readClaim(ctx context.Context, m gopprof.Manual) (first claimed, revision uint64, err error) {
	value, revision, err := k.deps.Keys.Get(ctx, claimKey(m))
	if err == nil {
		err = json.Unmarshal(value, &first)
	}
	if err == nil {
		err = gopprof.CheckID(first.Operation)
	}
	if err != nil {
		return claimed{}, 0, away(fmt.Errorf("reading an idempotency key: %w", err))
	}
	if first.Request != requestSum(m) {
		return claimed{}, 0, bad("this idempotency key was used for another request")
	}
	return first, revision, nil
}

// claimKey is where a request's key is kept. An alert is one, whichever of several
// Alertmanagers brings it, in the cluster that its labels or its caller's rights name; no
// caller's name begins as its key does.
func claimKey(m gopprof.Manual) string {
	switch {
	case m.Alert != nil && m.Cluster != "":
		return "key-" + sum("\x00alert\x00"+m.Cluster+"\x00"+m.Key)
	case m.Alert != nil:
		return "key-" + sum("\x00alert\x00"+m.Key)
	}
	return "key-" + sum(m.Who+"\x00"+m.Key)
}

// requestSum tells requests apart. What an alert says, and what is asked for because of it,
// may change while it goes on.
func requestSum(m gopprof.Manual) string {
	if m.Alert != nil {
		return sum("alert")
	}
	request, _ := json.Marshal(m) // of plain fields
	return sum(string(request))
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
