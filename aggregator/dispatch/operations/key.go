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

// claim is the ID of the operation that a request shall have.
type claim struct {
	id   string
	done gopprof.Operation // the operation, if it was made before
}

// claimed is what is kept under a key.
type claimed struct {
	Operation string `json:"operation"`
	Request   string `json:"request"` // sha256 of the request
}

// claim returns a new ID, or the one that the same caller's request under the same key was
// given before. It is written down first: whoever asks twice, at once or after a crash,
// gets one operation.
func (k *Keeper) claim(ctx context.Context, m gopprof.Manual) (claim, error) {
	if m.Key == "" {
		return claim{id: k.deps.NewID()}, nil
	}
	if len(m.Key) > maxKey {
		return claim{}, bad("an idempotency key of %d bytes: at most %d", len(m.Key), maxKey)
	}
	request, err := json.Marshal(m)
	if err != nil {
		return claim{}, fmt.Errorf("writing a request: %w", err)
	}
	mine := claimed{Operation: k.deps.NewID(), Request: sum(string(request))}
	value, err := json.Marshal(mine)
	if err != nil {
		return claim{}, fmt.Errorf("writing a request: %w", err)
	}
	key := "key-" + sum(m.Who+"\x00"+m.Key)
	if _, err := k.deps.Records.Create(ctx, key, value); err == nil {
		return claim{id: mine.Operation}, nil
	} else if !errors.Is(err, bus.ErrConflict) {
		return claim{}, fmt.Errorf("keeping an idempotency key: %w", err)
	}
	return k.claimedBefore(ctx, key, mine.Request)
}

func (k *Keeper) claimedBefore(ctx context.Context, key, request string) (claim, error) {
	value, _, err := k.deps.Records.Get(ctx, key)
	if err != nil {
		return claim{}, fmt.Errorf("reading an idempotency key: %w", err)
	}
	var first claimed
	err = json.Unmarshal(value, &first)
	if err = errors.Join(err, gopprof.CheckID(first.Operation)); err != nil {
		return claim{}, fmt.Errorf("reading an idempotency key: %w", err)
	}
	if first.Request != request {
		return claim{}, bad("this idempotency key was used for another request")
	}
	op, _, err := k.read(ctx, first.Operation)
	if gopprof.ReasonOf(err) == gopprof.ReasonUnknown { // refused, or never written
		return claim{id: first.Operation}, nil
	}
	return claim{id: first.Operation, done: op}, err
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
