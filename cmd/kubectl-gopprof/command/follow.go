package command

import (
	"context"
	"fmt"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/progress"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// board returns what shows how far an operation has come.
func (c *commands) board() progress.Board {
	if c.Screen != nil {
		return progress.NewBars(c.Err, *c.Screen)
	}
	return progress.NewLines(c.Err)
}

// watch shows how an operation goes on until it has ended.
func (c *commands) watch(ctx context.Context, cl *client.Client, op gopprof.Operation) (gopprof.Operation, error) {
	if err := gopprof.CheckID(op.ID); err != nil {
		return op, fmt.Errorf("the server's operation: %w", err)
	}
	board := c.board()
	defer board.Close()
	board.Show(op)
	if op.Ended() {
		return op, nil
	}
	return cl.Follow(ctx, op.ID, board.Show)
}

// follow is watch for who asked for the operation: an interrupt cancels it.
func (c *commands) follow(ctx context.Context, cl *client.Client, asked gopprof.Operation) (gopprof.Operation, error) {
	op, err := c.watch(ctx, cl, asked)
	switch {
	case err == nil:
		return op, nil
	case ctx.Err() != nil:
		return op, c.interrupted(ctx, cl, asked.ID)
	}
	c.say("operation %s goes on unseen: %s", asked.ID, c.again("operations "+asked.ID+" --watch"))
	return op, err
}

// interrupted cancels an operation, and says what became of it.
func (c *commands) interrupted(ctx context.Context, cl *client.Client, id string) error {
	c.say("cancelling; once more leaves at once")
	last, cancel := context.WithTimeout(c.Last, 2*grace)
	defer cancel()
	op, err := cl.Cancel(last, id)
	if err != nil {
		c.say("operation %s may go on: cancelling it failed: %v", id, err)
		return ctx.Err()
	}
	c.say("cancelled: %s", show.Progress(op))
	return ctx.Err()
}
