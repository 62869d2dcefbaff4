package app

import (
	"context"

	"github.com/gopprof/gopprof/aggregator/draw/views"
	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/aggregator/serve/web"
)

// pages are the views as serve needs them; nil: not offered.
func (a *App) pages() serve.Views {
	if a.views == nil {
		return nil
	}
	return opened{a.views}
}

type opened struct{ views *views.Views }

// Page implements serve.Views.
func (o opened) Page(ctx context.Context, v web.View, page, query string) ([]byte, error) {
	return o.views.Page(ctx, views.View(v), page, query)
}
