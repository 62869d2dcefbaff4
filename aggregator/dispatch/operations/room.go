package operations

import (
	"cmp"
	"context"
	"slices"

	"go.uber.org/zap"
)

// makeRoom deletes the oldest ended operations when their records fill three quarters of the
// room: what is asked for now must never fail because of what was asked for before.
func (k *Keeper) makeRoom(ctx context.Context) {
	if k.deps.Room <= 0 {
		return
	}
	k.mu.Lock()
	var used int64
	for _, s := range k.sizes {
		used += int64(s.bytes)
	}
	var old []string
	if most := k.deps.Room / 4 * 3; used > most {
		old = k.oldestEnded(used - most)
	}
	k.mu.Unlock()
	if len(old) > 0 {
		k.background("room", func() { k.delete(ctx, old) })
	}
}

// oldestEnded returns ended operations that take so many bytes together; k.mu is held.
func (k *Keeper) oldestEnded(bytes int64) []string {
	var ids []string
	for id, s := range k.sizes {
		if s.ended {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(k.sizes[a].at.Compare(k.sizes[b].at), cmp.Compare(a, b)) })
	for i, id := range ids {
		if bytes -= int64(k.sizes[id].bytes); bytes <= 0 {
			return ids[:i+1]
		}
	}
	return ids
}

// maxMarks is how many deleted operations leave a mark: enough for the other replicas to be told
// of each, and together a little of the room.
const maxMarks = 1000

func (k *Keeper) delete(ctx context.Context, ids []string) {
	for _, id := range ids {
		if err := k.deps.Records.Delete(ctx, id); err != nil {
			k.log.Warn("old operation not deleted", zap.String("operation", id), zap.Error(err))
			return
		}
		k.forget(id)
		k.marks = append(k.marks, id)
	}
	k.unmark(ctx)
	k.log.Info("old operations deleted to make room", zap.Int("operations", len(ids)))
}

// unmark takes the oldest marks of deleted operations away. They count for as long as the bucket
// keeps anything, and would fill it.
func (k *Keeper) unmark(ctx context.Context) {
	for len(k.marks) > maxMarks {
		if err := k.deps.Records.Forget(ctx, k.marks[0]); err != nil {
			k.log.Warn("mark of a deleted operation not removed", zap.String("operation", k.marks[0]), zap.Error(err))
			return
		}
		k.marks = k.marks[1:]
	}
}
