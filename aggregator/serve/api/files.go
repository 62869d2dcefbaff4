package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// drawingPolicy lets an SVG be looked at and nothing else: no script, no request, an
// origin of its own. Style attributes are how it is coloured.
const drawingPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

type fileInput struct {
	ID   string `path:"id" maxLength:"64" doc:"ID of the report."`
	Kind string `path:"kind" maxLength:"32" doc:"cpu, heap, allocs, goroutine, mutex, block, threadcreate or trace."`
}

type fileOutput struct {
	ContentType  string `header:"Content-Type"`
	Disposition  string `header:"Content-Disposition"`
	Policy       string `header:"Content-Security-Policy"`
	CacheControl string `header:"Cache-Control"`
	ETag         string `header:"ETag"`
	Body         []byte
}

func (h handlers) registerFiles(a huma.API) {
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "get-profile", Method: http.MethodGet, Path: api.PathReport("{id}") + "/profiles/{kind}",
		Summary:     "Get a profile's bytes as its target sent them",
		Description: "`go tool pprof` reads this URL (`go tool trace` a saved trace).",
		Responses:   file("application/octet-stream"),
	}), h.profile)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "get-drawing", Method: http.MethodGet, Path: api.PathReport("{id}") + "/drawings/{kind}",
		Summary:   "Get a profile's call graph",
		Responses: file("image/svg+xml"),
	}), h.drawing)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "get-evidence", Method: http.MethodGet, Path: api.PathPicture("{id}"),
		Summary:     "Get the picture of a report's evidence",
		Description: "What both witnesses saw of the use, against limit and threshold, in the minutes up to the capture's end.",
		Responses:   file("image/svg+xml"),
	}), h.picture)
}

func file(contentType string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "The file",
		Content:     map[string]*huma.MediaType{contentType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
}

func (h handlers) profile(ctx context.Context, in *fileInput) (*fileOutput, error) {
	r, f, err := h.file(ctx, in)
	if err != nil {
		return nil, err
	}
	data, err := h.read(ctx, f.Profile, fmt.Sprintf("the %s profile of report %s", f.Kind, r.ID))
	if err != nil {
		return nil, err
	}
	out := &fileOutput{ContentType: "application/octet-stream", Policy: "default-src 'none'; sandbox", CacheControl: forever, Body: data}
	out.Disposition = fmt.Sprintf("attachment; filename=%q", string(f.Kind)+"-"+r.ID+f.Kind.Extension())
	if p, ok := r.Capture.Profile(f.Kind); ok {
		out.ETag = fmt.Sprintf("%q", p.SHA256)
	}
	return out, nil
}

// forever: what is stored under an ID never changes. Only the caller's own cache may keep
// it: the next caller may not see it.
const forever = "private, max-age=86400, immutable"

func (h handlers) drawing(ctx context.Context, in *fileInput) (*fileOutput, error) {
	r, f, err := h.file(ctx, in)
	if err != nil {
		return nil, err
	}
	if f.Drawing == "" {
		detail := fmt.Sprintf("report %s has no call graph of its %s profile", r.ID, f.Kind)
		if f.Detail != "" {
			detail += ": " + f.Detail
		}
		return nil, problem{completed(api.Problem{Status: http.StatusNotFound, Reason: f.Reason, Detail: detail})}
	}
	return h.svg(ctx, f.Drawing, fmt.Sprintf("the %s call graph of report %s", f.Kind, r.ID))
}

func (h handlers) picture(ctx context.Context, in *reportInput) (*fileOutput, error) {
	r, err := h.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if r.Picture == "" {
		return nil, problem{completed(api.Problem{Status: http.StatusNotFound, Reason: gopprof.ReasonUnknown,
			Detail: fmt.Sprintf("report %s has no picture of its evidence: its agent sent no readings of before", r.ID)})}
	}
	return h.svg(ctx, r.Picture, "the picture of the evidence of report "+r.ID)
}

func (h handlers) svg(ctx context.Context, key, what string) (*fileOutput, error) {
	data, err := h.read(ctx, key, what)
	if err != nil {
		return nil, err
	}
	return &fileOutput{ContentType: "image/svg+xml", Policy: drawingPolicy, CacheControl: forever, Body: data}, nil
}

// read returns a stored file, or the answer that says why not.
func (h handlers) read(ctx context.Context, key, what string) ([]byte, error) {
	data, err := h.Reports.Read(ctx, key)
	if gopprof.ReasonOf(err) == gopprof.ReasonUnknown {
		return nil, problem{completed(api.Problem{Status: http.StatusNotFound, Reason: gopprof.ReasonUnknown, Detail: what + " is not in the store any more"})}
	}
	if err != nil {
		return nil, h.fail(ctx, "reading "+what, err)
	}
	return data, nil
}

// file returns the report and the file that a request names: 400 for what is no kind, 404
// for a kind that the report does not hold.
func (h handlers) file(ctx context.Context, in *fileInput) (gopprof.Report, gopprof.File, error) {
	kind, err := gopprof.ParseKind(in.Kind)
	if err != nil {
		return gopprof.Report{}, gopprof.File{}, invalid(http.StatusBadRequest, "path.kind", in.Kind, err.Error())
	}
	r, err := h.find(ctx, in.ID)
	if err != nil {
		return r, gopprof.File{}, err
	}
	f, ok := r.File(kind)
	if !ok {
		return r, f, problem{completed(api.Problem{Status: http.StatusNotFound, Reason: gopprof.ReasonUnknown,
			Detail: fmt.Sprintf("report %s holds no %s profile, only %v", r.ID, kind, api.Summarize(r).Kinds)})}
	}
	return r, f, nil
}
