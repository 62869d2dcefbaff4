package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

type pauseInput struct{ Body api.PauseRequest }

type pauseOutput struct{ Body api.PauseState }

func (h handlers) registerPause(a huma.API) {
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "get-pause", Method: http.MethodGet, Path: api.PathPause,
		Summary: "Get whether all profiling is paused",
	}), h.pause)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "set-pause", Method: http.MethodPut, Path: api.PathPause,
		Summary:     "Stop all profiling, or let it go on",
		Description: "Every agent is told; the answer says how many obey. What runs ends. Agents that come later are told, too.",
	}), h.setPause)
}

func (h handlers) pause(ctx context.Context, _ *struct{}) (*pauseOutput, error) {
	s, err := h.Captures.Pause(ctx)
	if err != nil {
		return nil, h.fail(ctx, "reading the pause", err)
	}
	return &pauseOutput{s}, nil
}

func (h handlers) setPause(ctx context.Context, in *pauseInput) (*pauseOutput, error) {
	s, err := h.Captures.SetPause(ctx, gopprof.Pause{Paused: in.Body.Paused, Why: in.Body.Why})
	if err != nil {
		return nil, h.fail(ctx, "pausing", err)
	}
	return &pauseOutput{s}, nil
}
