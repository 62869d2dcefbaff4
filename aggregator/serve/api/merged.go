package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

type mergedOutput struct{ Body api.Merged }

func (h handlers) registerMerged(a huma.API) {
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "get-merged", Method: http.MethodGet, Path: api.PathMerged("{id}"),
		Summary:     "Compare the pods of an operation",
		Description: "What was stored of the operation so far, as one, and the pods that spend differently from the others.",
	}), h.merged)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "get-merged-profile", Method: http.MethodGet, Path: api.PathMergedProfile("{id}", "{kind}"),
		Summary:     "Get the profiles of an operation's pods as one",
		Description: "`go tool pprof` reads this URL.",
		Responses:   file("application/octet-stream"),
	}), h.mergedProfile)
}

func (h handlers) merged(ctx context.Context, in *operationInput) (*mergedOutput, error) {
	m, err := h.Captures.Merged(ctx, in.ID)
	if err != nil {
		return nil, h.fail(ctx, "merging the operation's profiles", err)
	}
	for i, k := range m.Kinds {
		if k.Profile != "" {
			m.Kinds[i].Profile = h.Prefix + k.Profile
		}
	}
	return &mergedOutput{m}, nil
}

func (h handlers) mergedProfile(ctx context.Context, in *fileInput) (*fileOutput, error) {
	kind, err := gopprof.ParseKind(in.Kind)
	if err != nil {
		return nil, invalid(http.StatusBadRequest, "path.kind", in.Kind, err.Error())
	}
	data, err := h.Captures.MergedProfile(ctx, in.ID, kind)
	if err != nil {
		return nil, h.fail(ctx, "merging the operation's profiles", err)
	}
	return &fileOutput{
		ContentType: "application/octet-stream", Policy: "default-src 'none'; sandbox", Body: data,
		Disposition: fmt.Sprintf("attachment; filename=%q", string(kind)+"-"+in.ID+kind.Extension()),
	}, nil
}
