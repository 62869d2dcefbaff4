package app

import (
	"context"
	"errors"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// reports is the store as serve needs it: its errors are named.
type reports struct{ store *store.Store }

// List implements serve.Reports.
func (r reports) List(ctx context.Context, q api.ReportQuery) (api.ReportPage, error) {
	page, err := r.store.List(ctx, store.Query{
		Cluster: q.Cluster, Namespace: q.Namespace, Workload: q.Workload, Pod: q.Pod, Kind: q.Kind,
		Incident: q.Incident, Cause: q.Cause, From: q.From, To: q.To, Limit: q.Limit, After: q.After,
	})
	return api.ReportPage{Reports: page.Reports, Next: page.Next}, named(err)
}

// Report implements serve.Reports.
func (r reports) Report(ctx context.Context, id string) (gopprof.Report, error) {
	report, err := r.store.Report(ctx, id)
	return report, named(err)
}

// Read implements serve.Reports.
func (r reports) Read(ctx context.Context, key string) ([]byte, error) {
	data, err := r.store.Read(ctx, key)
	return data, named(err)
}

// named gives the store's errors the reasons that callers of the API see.
func named(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return &gopprof.Error{Reason: gopprof.ReasonUnknown, Err: err}
	case errors.Is(err, store.ErrCursor):
		return &gopprof.Error{Reason: gopprof.ReasonBadInput, Err: err}
	}
	return &gopprof.Error{Reason: gopprof.ReasonStoreFailed, Err: err}
}
