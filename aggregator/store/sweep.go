package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Sweep lists the whole store once and, where the configuration says so, deletes reports
// above MaxAge, leftovers of captures that never became reports, and then the oldest
// reports until MaxBytes is kept. It also brings the index in step with what was found.
// One report that cannot be read, or deleted, does not hold the others, nor do its bytes cost another
// report its place once its report.json is gone.
func (s *Store) Sweep(ctx context.Context) error {
	w := &sweep{Store: s, started: s.now()}
	return w.run(ctx)
}

// sweep is one sweep.
type sweep struct {
	*Store
	started time.Time
	days    []sweptDay // newest first
	errs    failures
}

// sweptDay is what a day held after the first pass.
type sweptDay struct {
	day
	bytes       int64 // of all files
	reportBytes int64 // of those that belong to a report
	reports     int
}

func (d *sweptDay) add(r ref) {
	d.bytes += r.bytes
	if r.committed {
		d.reportBytes += r.bytes
		d.reports++
	}
}

// shrink takes note that left is left of a report.
func (d *sweptDay) shrink(r, left ref) {
	d.bytes -= r.bytes
	d.reportBytes -= r.bytes
	d.reports--
	d.add(left)
}

// failures are the errors of a sweep. A store that refuses one deletion refuses thousands:
// the first ones are kept, the others are counted.
type failures struct {
	first []error
	more  int
}

const mostErrors = 10

func (f *failures) add(err error) {
	if len(f.first) == mostErrors {
		f.more++
		return
	}
	f.first = append(f.first, err)
}

// join returns all in one with last, which may be nil.
func (f *failures) join(last error) error {
	var more error
	if f.more > 0 {
		more = fmt.Errorf("and %d more", f.more)
	}
	return errors.Join(append(f.first, more, last)...)
}

func (w *sweep) run(ctx context.Context) error {
	clusters, err := w.clusters(ctx, Query{})
	if err != nil {
		return err
	}
	indexed := w.index.ids()
	for d, err := range w.Store.days(ctx, clusters, lowestID, highestID) {
		if err != nil {
			return w.errs.join(err)
		}
		if err := w.day(ctx, d, indexed); err != nil {
			return w.errs.join(err)
		}
	}
	w.dropVanished(ctx, indexed)
	err = w.keepBytes(ctx)
	w.clean()
	w.report()
	return w.errs.join(err)
}

// day is the first pass over one day: age and leftovers, and what is left.
func (w *sweep) day(ctx context.Context, d day, indexed map[string]bool) error {
	refs, err := w.refs(ctx, d.paths, Query{})
	if err != nil {
		return err
	}
	kept := sweptDay{day: d}
	var live []ref
	for _, r := range refs {
		if r.committed {
			delete(indexed, r.id)
		}
		if cause := w.cause(r); cause != "" {
			r = w.delete(ctx, r, cause)
		}
		kept.add(r)
		if r.committed {
			live = append(live, r)
		}
	}
	w.days = append(w.days, kept)
	if err := w.takeIn(ctx, live); err != nil {
		w.errs.add(err)
	}
	return ctx.Err()
}

// cause tells why a folder must go; empty when it may stay.
func (w *sweep) cause(r ref) string {
	switch {
	case !w.cfg.Sweep:
	case !r.committed && w.started.Sub(r.newest) > orphanAge:
		return "orphan"
	case r.committed && w.cfg.MaxAge > 0 && w.started.Sub(w.since(r)) > w.cfg.MaxAge:
		return "age"
	}
	return ""
}

// since returns from when a report's age counts: when its capture was decided or, where its
// agent's clock was far ahead, when it was stored. It would stay for years.
func (w *sweep) since(r ref) time.Time {
	if decided := idTime(r.id); !decided.After(w.started) {
		return decided
	}
	return r.newest
}

// mostRefused is how many reports in a row may fail to be deleted before the pass over bytes
// is ended: it is the store that fails then, and the next sweep goes on.
const mostRefused = 5

// keepBytes deletes the oldest reports until those that are left are within MaxBytes.
// Leftovers count for nothing here: they go when they are a day old, and while the store
// refuses that, reports would be deleted one after the other for bytes that stay.
func (w *sweep) keepBytes(ctx context.Context) error {
	if !w.cfg.Sweep || w.cfg.MaxBytes == 0 {
		return nil
	}
	over, refused := w.reportBytes()-w.cfg.MaxBytes, 0
	for i := len(w.days) - 1; i >= 0 && over > 0; i-- {
		d := &w.days[i]
		refs, err := w.refs(ctx, d.paths, Query{})
		if err != nil {
			return err
		}
		refs = slices.DeleteFunc(refs, func(r ref) bool { return !r.committed })
		for _, r := range slices.Backward(refs) {
			if over <= 0 {
				break
			}
			left := w.delete(ctx, r, "bytes")
			d.shrink(r, left)
			if !left.committed {
				over -= r.bytes
			}
			if refused++; len(left.files) == 0 {
				refused = 0
			}
			if refused == mostRefused {
				return fmt.Errorf("keeping max_bytes: given up until the next sweep: %d reports in a row could not be deleted", refused)
			}
		}
	}
	return nil
}

func (w *sweep) reportBytes() (total int64) {
	for _, d := range w.days {
		total += d.reportBytes
	}
	return total
}

func (w *sweep) totalBytes() (total int64) {
	for _, d := range w.days {
		total += d.bytes
	}
	return total
}

// delete removes a report's files, report.json first: should it stop half way, what is
// left is a folder without a commit mark, which is no report and is swept later. It returns
// what is left. A report without its mark is gone, and counts as swept.
func (w *sweep) delete(ctx context.Context, r ref, cause string) ref {
	left, err := w.remove(ctx, r)
	if err != nil {
		w.errs.add(fmt.Errorf("deleting report %q: %w", r.id, err))
	}
	w.metrics.sweptBytes.Add(float64(max(r.bytes-left.bytes, 0)))
	if left.committed || !r.committed && len(left.files) > 0 {
		return left
	}
	w.metrics.swept.WithLabelValues(cause).Inc()
	w.log.Info("report swept", zap.String("capture", r.id), zap.String("namespace", r.ns),
		zap.String("pod", r.pod), zap.String("reason", cause))
	return left
}

func (w *sweep) remove(ctx context.Context, r ref) (left ref, err error) {
	if !r.committed {
		return w.removeOrphan(ctx, r)
	}
	if err := w.blobs.remove(ctx, r.folder()+reportFile); err != nil {
		return w.leftOf(ctx, r), err
	}
	w.index.remove(r.id)
	r.committed = false
	return w.removeFiles(ctx, r)
}

// removeOrphan looks once more, since the capture may have been delivered again: storing
// it again makes its files new.
func (w *sweep) removeOrphan(ctx context.Context, r ref) (left ref, err error) {
	now, err := w.folderNow(ctx, r.place)
	if err != nil {
		return r, err
	}
	if now.committed || w.cause(now) == "" {
		return now, nil
	}
	return w.removeFiles(ctx, now)
}

func (w *sweep) removeFiles(ctx context.Context, r ref) (left ref, err error) {
	for _, f := range r.files {
		if f == reportFile {
			continue
		}
		if err := w.blobs.remove(ctx, r.folder()+f); err != nil {
			return w.leftOf(ctx, r), err
		}
	}
	return ref{place: r.place}, nil
}

// leftOf looks what a deletion that failed has left of a report: where the answer was lost
// it was done all the same. A store that does not answer now either has left all.
func (w *sweep) leftOf(ctx context.Context, r ref) ref {
	now, err := w.folderNow(ctx, r.place)
	if err != nil {
		return r
	}
	if now.committed = now.committed && r.committed; r.committed && !now.committed {
		w.index.remove(r.id)
	}
	return now
}

// dropVanished takes reports out of the index that the listing did not show: somebody
// else swept them.
func (w *sweep) dropVanished(ctx context.Context, ids map[string]bool) {
	for id := range ids {
		e, ok := w.index.get(id)
		if !ok {
			continue
		}
		r, err := e.report()
		if err != nil {
			w.errs.add(err)
			continue
		}
		if p, err := placeOf(r.Capture); err == nil {
			if there, err := w.blobs.exists(ctx, p.folder()+reportFile); err == nil && !there {
				w.index.remove(id)
			}
		}
	}
}

// clean removes temporary files of writes that a crash cut short.
func (w *sweep) clean() {
	f, ok := w.blobs.writer.(*fileWriter)
	if !ok {
		return
	}
	if err := f.clean(w.started.Add(-orphanAge)); err != nil {
		w.errs.add(err)
	}
}

func (w *sweep) report() {
	reports := 0
	for _, d := range w.days {
		reports += d.reports
	}
	w.metrics.stored.Set(float64(w.totalBytes()))
	w.metrics.reports.Set(float64(reports))
	w.metrics.sweepEnd.Set(float64(w.now().Unix()))
}
