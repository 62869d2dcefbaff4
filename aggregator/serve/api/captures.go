package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

type captureInput struct{ Body api.CaptureRequest }

type captureOutput struct {
	Location string `header:"Location"`
	Body     gopprof.Operation
}

type operationInput struct {
	ID string `path:"id" maxLength:"64" doc:"ID of the operation."`
}

type operationOutput struct{ Body gopprof.Operation }

func (h handlers) registerCaptures(a huma.API) {
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "create-capture", Method: http.MethodPost, Path: api.PathCaptures, DefaultStatus: http.StatusAccepted,
		Summary:     "Profile a target now",
		Description: "Answers when the target's agent has accepted or refused; the operation says which, and later how far the capture has come.",
	}), h.capture)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "get-operation", Method: http.MethodGet, Path: api.PathOperation("{id}"),
		Summary: "Get how far an operation has come",
	}), h.operation)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "cancel-operation", Method: http.MethodDelete, Path: api.PathOperation("{id}"),
		Summary: "Stop what of an operation has not ended",
	}), h.cancel)
}

func (h handlers) capture(ctx context.Context, in *captureInput) (*captureOutput, error) {
	b := in.Body
	op, err := h.Captures.Capture(ctx, gopprof.Manual{
		Namespace: b.Namespace, Pod: b.Pod, Container: b.Container, Kinds: b.Kinds, CPUSeconds: b.Seconds,
	})
	if err != nil {
		return nil, h.fail(ctx, "capturing "+b.Namespace+"/"+b.Pod, err)
	}
	return &captureOutput{Location: h.Prefix + api.PathOperation(op.ID), Body: op}, nil
}

func (h handlers) operation(ctx context.Context, in *operationInput) (*operationOutput, error) {
	op, err := h.Captures.Operation(ctx, in.ID)
	if err != nil {
		return nil, h.fail(ctx, "reading the operation", err)
	}
	return &operationOutput{op}, nil
}

func (h handlers) cancel(ctx context.Context, in *operationInput) (*operationOutput, error) {
	op, err := h.Captures.Cancel(ctx, in.ID)
	if err != nil {
		return nil, h.fail(ctx, "cancelling the operation", err)
	}
	return &operationOutput{op}, nil
}
