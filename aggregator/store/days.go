package store

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// ref is a report's folder as a listing shows it.
type ref struct {
	place
	files     []string // file names in the folder that are ours
	bytes     int64
	report    int64     // bytes of report.json
	newest    time.Time // when the newest of them was written
	committed bool      // report.json is there
}

// day is one day's folder, of one cluster or several.
type day struct {
	date  string   // yyyy/mm/dd
	paths []string // <cluster>/yyyy/mm/dd/
}

const lastDay = "9999/12/31"

// days walks the days in the store that may hold identifiers in [lower, upper), newest
// first, listing only the folders it has to.
func (s *Store) days(ctx context.Context, clusters []string, lower, upper string) iter.Seq2[day, error] {
	oldest, newest := boundDay(lower, "0000/01/01"), boundDay(upper, lastDay)
	var walk func(date string, parents []string, yield func(day, error) bool) bool
	walk = func(date string, parents []string, yield func(day, error) bool) bool {
		if len(date) == len(oldest) {
			if _, err := time.Parse(dayFormat, date); err != nil {
				return true // a folder of digits that is no day is not ours
			}
			return yield(day{date: date, paths: parents}, nil)
		}
		children, err := s.descend(ctx, parents)
		if err != nil {
			return yield(day{}, err)
		}
		for _, name := range slices.Backward(sortedKeys(children)) {
			child := strings.TrimPrefix(date+"/"+name, "/")
			if len(child) > len(oldest) || child > newest[:len(child)] || child < oldest[:len(child)] {
				continue
			}
			if !walk(child, children[name], yield) {
				return false
			}
		}
		return true
	}
	return func(yield func(day, error) bool) { walk("", clusters, yield) }
}

func boundDay(id, unbounded string) string {
	if id == lowestID || id == highestID {
		return unbounded
	}
	if t := idTime(id); t.Year() <= 9999 {
		return dayFolder(t)
	}
	return lastDay // a year of five digits would not sort
}

// descend lists the folders below all parents and joins those of one name. Only names of
// digits can be a year, month or day.
func (s *Store) descend(ctx context.Context, parents []string) (map[string][]string, error) {
	children := make(map[string][]string)
	for _, p := range parents {
		names, err := s.blobs.folders(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if (len(n) == 4 || len(n) == 2) && strings.Trim(n, "0123456789") == "" {
				children[n] = append(children[n], p+n+"/")
			}
		}
	}
	return children, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// clusters returns the folders of the query's cluster, or of all.
func (s *Store) clusters(ctx context.Context, q Query) ([]string, error) {
	if q.Cluster != "" {
		return []string{escape(q.Cluster, maxNameBytes) + "/"}, nil
	}
	names, err := s.blobs.folders(ctx, "")
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, n := range names {
		if n != tmpFolder {
			paths = append(paths, n+"/")
		}
	}
	return paths, nil
}

// dayRefs lists the reports of the day of t that the query may mean, newest first.
func (s *Store) dayRefs(ctx context.Context, t time.Time, q Query) ([]ref, error) {
	clusters, err := s.clusters(ctx, q)
	if err != nil {
		return nil, err
	}
	for i := range clusters {
		clusters[i] += dayFolder(t) + "/"
	}
	return s.refs(ctx, clusters, q)
}

// refs lists the folders of reports below paths of days, newest first.
func (s *Store) refs(ctx context.Context, paths []string, q Query) ([]ref, error) {
	found := make(map[place]*ref)
	for _, path := range paths {
		if err := s.blobs.list(ctx, path+q.folder(), func(o *blob.ListObject) { collect(found, o) }); err != nil {
			return nil, err
		}
	}
	refs := make([]ref, 0, len(found))
	for _, r := range found {
		if q.mayMean(*r) {
			refs = append(refs, *r)
		}
	}
	slices.SortFunc(refs, func(a, b ref) int { return cmp.Compare(b.id, a.id) })
	return refs, nil
}

// folderNow lists one report's folder.
func (s *Store) folderNow(ctx context.Context, p place) (ref, error) {
	found := make(map[place]*ref)
	err := s.blobs.list(ctx, p.folder(), func(o *blob.ListObject) { collect(found, o) })
	if r := found[p]; r != nil {
		return *r, err
	}
	return ref{place: p}, err
}

func collect(found map[place]*ref, o *blob.ListObject) {
	p, file, ok := parseKey(o.Key)
	if !ok {
		return
	}
	r := found[p]
	if r == nil {
		r = &ref{place: p}
		found[p] = r
	}
	r.files = append(r.files, file)
	r.bytes += o.Size
	if file == reportFile {
		r.committed, r.report = true, o.Size
	}
	if o.ModTime.After(r.newest) {
		r.newest = o.ModTime
	}
}

// What is read of the store at the same time to be listed, at most. A hostile target can make
// a report.json of 2 MB.
const (
	readAtOnce  = 16      // reports, by one call
	bytesAtOnce = 8 << 20 // of reports, by all calls
)

// mostUnread is how many reports may be left out that cannot be read while others can: a bad
// sector, an object that was moved to where nobody reads it. Of more it is the store that fails.
const mostUnread = 10

// unread are such reports. nil takes none: the first one ends the reading.
type unread struct {
	mu   sync.Mutex // guards errs
	errs []error
}

// spare returns nil for one that may be left out.
func (u *unread) spare(err error) error {
	if u == nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.errs = append(u.errs, err); len(u.errs) > mostUnread {
		return errors.Join(u.errs...)
	}
	return nil
}

// readRefs reads what is listed of the reports of refs, in their order, of which no more are
// whole in memory than are read at once. Those that vanished meanwhile or are broken are left
// out, and those that left takes.
func (s *Store) readRefs(ctx context.Context, refs []ref, left *unread) ([]gopprof.Report, error) {
	read := make([]*gopprof.Report, len(refs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readAtOnce)
	for i, ref := range refs {
		g.Go(func() (err error) {
			read[i], err = s.readRef(ctx, ref)
			if err != nil && ctx.Err() == nil {
				err = left.spare(err)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var reports []gopprof.Report
	for _, r := range read {
		if r != nil {
			reports = append(reports, *r)
		}
	}
	return reports, nil
}

// readRef reads what is listed of one; nil when it vanished or is broken.
func (s *Store) readRef(ctx context.Context, ref ref) (*gopprof.Report, error) {
	weight := min(ref.report, bytesAtOnce)
	if err := s.reading.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	defer s.reading.Release(weight)
	r, err := s.readReport(ctx, ref.place)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrBroken):
		return nil, nil
	case err != nil:
		return nil, err
	}
	r = listed(r)
	return &r, nil
}
