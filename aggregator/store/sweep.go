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
// One report that cannot be deleted does not hold the others.
func (s *Store) Sweep(ctx context.Context) error {
	w := &sweep{Store: s, started: s.now()}
	return w.run(ctx)
}

// sweep is one sweep.
type sweep struct {
	*Store
	started time.Time
	days    []sweptDay // newest first
	errs    []error
}

// sweptDay is what a day held after the first pass.
type sweptDay struct {
	day
	bytes   int64
	reports int
}

func (w *sweep) run(ctx context.Context) error {
	clusters, err := w.clusters(ctx, Query{})
	if err != nil {
		return err
	}
	indexed := w.index.ids()
	for d, err := range w.Store.days(ctx, clusters, lowestID, highestID) {
		if err != nil {
			return errors.Join(append(w.errs, err)...)
		}
		if err := w.day(ctx, d, indexed); err != nil {
			return errors.Join(append(w.errs, err)...)
		}
	}
	w.dropVanished(ctx, indexed)
	if err := w.keepBytes(ctx); err != nil {
		w.errs = append(w.errs, err)
	}
	w.clean()
	w.report()
	return errors.Join(w.errs...)
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
		delete(indexed, r.id)
		if cause := w.cause(r); cause != "" && w.delete(ctx, r, cause) {
			continue
		}
		kept.bytes += r.bytes
		if r.committed {
			kept.reports++
			live = append(live, r)
		}
	}
	w.days = append(w.days, kept)
	return w.takeIn(ctx, live)
}

// cause tells why a folder must go; empty when it may stay.
func (w *sweep) cause(r ref) string {
	switch {
	case !w.cfg.Sweep:
	case !r.committed && w.started.Sub(r.newest) > orphanAge:
		return "orphan"
	case r.committed && w.cfg.MaxAge > 0 && w.started.Sub(idTime(r.id)) > w.cfg.MaxAge:
		return "age"
	}
	return ""
}

// keepBytes deletes the oldest reports until all the files together are within MaxBytes.
func (w *sweep) keepBytes(ctx context.Context) error {
	if !w.cfg.Sweep || w.cfg.MaxBytes == 0 {
		return nil
	}
	total := w.totalBytes()
	for i := len(w.days) - 1; i >= 0 && total > w.cfg.MaxBytes; i-- {
		refs, err := w.refs(ctx, w.days[i].paths, Query{})
		if err != nil {
			return err
		}
		for _, r := range slices.Backward(refs) {
			if total <= w.cfg.MaxBytes {
				break
			}
			if r.committed && w.delete(ctx, r, "bytes") {
				total -= r.bytes
				w.days[i].bytes -= r.bytes
				w.days[i].reports--
			}
		}
	}
	return nil
}

func (w *sweep) totalBytes() (total int64) {
	for _, d := range w.days {
		total += d.bytes
	}
	return total
}

// delete removes a report's files, report.json first: should it stop half way, what is
// left is a folder without a commit mark, which is no report and is swept later.
func (w *sweep) delete(ctx context.Context, r ref, cause string) bool {
	gone, err := w.remove(ctx, r)
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("deleting report %q: %w", r.id, err))
		return false
	}
	if gone {
		w.metrics.swept.WithLabelValues(cause).Inc()
		w.metrics.sweptBytes.Add(float64(r.bytes))
		w.log.Info("report swept", zap.String("capture", r.id), zap.String("namespace", r.ns),
			zap.String("pod", r.pod), zap.String("reason", cause))
	}
	return gone
}

func (w *sweep) remove(ctx context.Context, r ref) (bool, error) {
	if !r.committed {
		return w.removeOrphan(ctx, r)
	}
	if err := w.blobs.remove(ctx, r.folder()+reportFile); err != nil {
		return false, err
	}
	w.index.remove(r.id)
	return true, w.removeFiles(ctx, r)
}

// removeOrphan looks once more, since the capture may have been delivered again: storing
// it again makes its files new.
func (w *sweep) removeOrphan(ctx context.Context, r ref) (bool, error) {
	now, err := w.folderNow(ctx, r.place)
	if err != nil || now.committed || w.cause(now) == "" {
		return false, err
	}
	return true, w.removeFiles(ctx, now)
}

func (w *sweep) removeFiles(ctx context.Context, r ref) error {
	for _, f := range r.files {
		if f == reportFile {
			continue
		}
		if err := w.blobs.remove(ctx, r.folder()+f); err != nil {
			return err
		}
	}
	return nil
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
			w.errs = append(w.errs, err)
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
		w.errs = append(w.errs, err)
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
