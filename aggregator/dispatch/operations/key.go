package operations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

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
	first, err := k.readClaim(ctx, m)
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
	return op, err
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
		first, err := k.readClaim(ctx, m)
		return first.Operation, err
	}
	if err != nil {
		return "", away(fmt.Errorf("keeping an idempotency key: %w", err))
	}
	return id, nil
}

// readClaim returns what is kept under a request's key. The error is bus.ErrNoKey when
// there is nothing, and bad_input when it is another request's.
func (k *Keeper) readClaim(ctx context.Context, m gopprof.Manual) (claimed, error) {
	var first claimed
	value, _, err := k.deps.Keys.Get(ctx, claimKey(m))
	if err == nil {
		err = json.Unmarshal(value, &first)
	}
	if err == nil {
		err = gopprof.CheckID(first.Operation)
	}
	if err != nil {
		return claimed{}, away(fmt.Errorf("reading an idempotency key: %w", err))
	}
	if first.Request != requestSum(m) {
		return claimed{}, bad("this idempotency key was used for another request")
	}
	return first, nil
}

func claimKey(m gopprof.Manual) string { return "key-" + sum(m.Who+"\x00"+m.Key) }

func requestSum(m gopprof.Manual) string {
	request, _ := json.Marshal(m) // of plain fields
	return sum(string(request))
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
