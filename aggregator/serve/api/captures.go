package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

type captureInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"Repeated requests under one key are one request."`
	Body api.CaptureRequest
}

type captureOutput struct {
	Location string `header:"Location"`
	Body     gopprof.Operation
}

type operationInput struct {
	ID string `path:"id" maxLength:"64" doc:"ID of the operation."`
}

type operationOutput struct{ Body gopprof.Operation }

type operationsOutput struct{ Body api.OperationList }

func (h handlers) registerCaptures(a huma.API) {
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "create-capture", Method: http.MethodPost, Path: api.PathCaptures, DefaultStatus: http.StatusAccepted,
		Summary:     "Profile pods now",
		Description: "One pod, the pods of a workload, or those whose labels match. Answers at once with the operation, which says how far each pod's capture has come.",
	}), h.capture)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "list-operations", Method: http.MethodGet, Path: api.PathOperations,
		Summary: "List the newest operations, newest first",
	}), h.operations)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "get-operation", Method: http.MethodGet, Path: api.PathOperation("{id}"),
		Summary: "Get how far an operation has come",
	}), h.operation)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "cancel-operation", Method: http.MethodDelete, Path: api.PathOperation("{id}"),
		Summary:     "Stop what of an operation has not ended",
		Description: "The targets' profilers are free again when this answers, but for those whose agent did not.",
	}), h.cancel)
}

func (h handlers) capture(ctx context.Context, in *captureInput) (*captureOutput, error) {
	m, err := manual(in.Body)
	if err != nil {
		return nil, err
	}
	m.Key = in.Key
	op, _, err := h.Captures.Capture(ctx, m)
	if err != nil {
		return nil, h.fail(ctx, "asking for captures in "+m.Namespace, err)
	}
	return &captureOutput{Location: h.Prefix + api.PathOperation(op.ID), Body: op}, nil
}

func manual(b api.CaptureRequest) (gopprof.Manual, error) {
	m := gopprof.Manual{
		Cluster: b.Cluster, Namespace: b.Namespace, Pod: b.Pod, Selector: b.Selector, Container: b.Container,
		Kinds: b.Kinds, CPUSeconds: b.Seconds,
		MaxPods: b.MaxPods, AtOnce: b.AtOnce, Expect: b.Expect, AllAtOnce: b.AllAtOnce, Merge: b.Merge,
	}
	if b.Workload != "" {
		kind, name, ok := strings.Cut(b.Workload, "/")
		if !ok || kind == "" || name == "" {
			return m, invalid(http.StatusUnprocessableEntity, "body.workload", b.Workload, "must be kind/name, such as Deployment/web")
		}
		m.Workload = gopprof.Workload{Kind: kind, Name: name}
	}
	return m, nil
}

func (h handlers) operations(ctx context.Context, _ *struct{}) (*operationsOutput, error) {
	ops, err := h.Captures.Operations(ctx)
	if err != nil {
		return nil, h.fail(ctx, "listing operations", err)
	}
	return &operationsOutput{api.OperationList{Operations: ops}}, nil
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

// retryAfter is what a caller is told who asked for too much.
func (h handlers) retryAfter() string { return strconv.Itoa(int(h.RetryAfter.Seconds() + 0.999)) }
