package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Page is one page of reports, newest first, in the order of their identifiers. A report
// that is neither added nor deleted while the pages are read is on exactly one of them. A few
// that cannot be read are on none, which is logged and counted: a folder says no more than a name.
type Page struct {
	// Reports have what a list shows of each: its target, trigger, times, files and page, and
	// of what it explains the first line, the warnings and the causes' names. The rest, which
	// Report has, is as large as the profiles make it.
	Reports []gopprof.Report
	// Next asks for the page after this one; empty when this is the last. A page may hold
	// fewer reports than the limit, even none, and have a Next: one call looks at a bounded
	// part of the store.
	Next string
}

// What one call looks at in the store, at most.
const (
	maxDaysListed  = 31
	maxReportsRead = 2000
	maxBatch       = 64
)

// List returns the page of reports that the query asks for: from memory as far as the
// index reaches, older ones from the store.
func (s *Store) List(ctx context.Context, q Query) (Page, error) {
	lower, upper, err := q.bounds()
	if err != nil {
		return Page{}, err
	}
	limit := q.limit()
	match := func(c card) bool { return c.id >= lower && q.matches(c) }
	// One more than asked for tells whether there is a next page.
	indexed, floor := s.index.below(upper, limit+1, match)
	found, err := unpack(indexed)
	if err != nil {
		return Page{}, fmt.Errorf("listing reports: %w", err)
	}
	var stopped string
	if len(found) <= limit && floor > lower {
		var older []gopprof.Report
		older, stopped, err = s.listStored(ctx, q, lower, min(upper, floor), limit+1-len(found))
		if err != nil {
			return Page{}, fmt.Errorf("listing reports: %w", err)
		}
		found = append(found, older...)
	}
	if len(found) > limit {
		return Page{Reports: found[:limit], Next: found[limit-1].ID}, nil
	}
	return Page{Reports: found, Next: stopped}, nil
}

// listStored lists n reports with identifiers in [lower, upper) from the store. When it
// stops early because it has looked at enough, it says below which identifier to go on.
func (s *Store) listStored(ctx context.Context, q Query, lower, upper string, n int) (found []gopprof.Report, stopped string, err error) {
	clusters, err := s.clusters(ctx, q)
	if err != nil {
		return nil, "", err
	}
	left := &unread{}
	defer s.noteUnread(left)
	days, read := 0, 0
	for d, err := range s.days(ctx, clusters, lower, upper) {
		if err != nil {
			return nil, "", err
		}
		refs, err := s.refs(ctx, d.paths, q)
		if err != nil {
			return nil, "", err
		}
		refs = slices.DeleteFunc(refs, func(r ref) bool { return !r.committed || r.id < lower || r.id >= upper })
		for batch := range slices.Chunk(refs, min(max(n-len(found), readAtOnce), maxBatch)) {
			reports, err := s.readRefs(ctx, batch, left)
			if err != nil {
				return nil, "", err
			}
			for _, r := range reports {
				if q.matches(cardOf(r)) {
					found = append(found, r)
				}
			}
			read += len(batch)
			if len(found) >= n || read >= maxReportsRead {
				return found, batch[len(batch)-1].id, nil
			}
		}
		if days++; days >= maxDaysListed {
			return found, firstOfDay(d.date), nil
		}
	}
	return found, "", nil
}

// noteUnread says what a list was left without.
func (s *Store) noteUnread(left *unread) {
	if n := len(left.errs); n > 0 {
		s.metrics.failures.WithLabelValues("list_read").Add(float64(n))
		s.log.Warn("reports that cannot be read are missing in a list", zap.Int("reports", n), zap.Error(errors.Join(left.errs...)))
	}
}

func firstOfDay(date string) string {
	t, err := time.Parse(dayFormat, date)
	if err != nil {
		panic("not a day: " + date) // days yields no other
	}
	return firstID(t)
}
