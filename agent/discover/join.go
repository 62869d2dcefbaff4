package discover

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Join returns several discoverers as one. Their targets are told one after the other, in
// this order.
func Join(all ...Discoverer) Discoverer { return joined(all) }

type joined []Discoverer

// Run implements Discoverer. An error of one ends all.
func (j joined) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, d := range j {
		group.Go(func() error { return d.Run(ctx) })
	}
	return group.Wait()
}

// Snapshot implements Discoverer.
func (j joined) Snapshot() Snapshot {
	var s Snapshot
	for _, d := range j {
		of := d.Snapshot()
		s.Targets = append(s.Targets, of.Targets...)
		s.Refused = append(s.Refused, of.Refused...)
		s.Unlisted = s.Unlisted || of.Unlisted
	}
	return s
}
