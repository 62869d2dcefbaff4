package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gopprof/gopprof/pkg/api"
)

type silencesInput struct {
	Namespace string `query:"namespace" maxLength:"253" doc:"Only those in this namespace."`
}

type silencesOutput struct{ Body api.SilenceList }

type silenceInput struct{ Body api.SilenceRequest }

type silenceOutput struct{ Body api.Silence }

type endSilenceInput struct {
	ID string `path:"id" maxLength:"64" doc:"ID of the silence."`
}

type receiverInput struct {
	Name string `path:"name" maxLength:"63" doc:"Name of the receiver, as the configuration has it."`
}

type receiverOutput struct{ Body api.ReceiverTest }

func (h handlers) registerTelling(a huma.API) {
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "list-silences", Method: http.MethodGet, Path: api.PathSilences,
		Summary: "List the silences that hold, the next to end first",
	}), h.silences)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "create-silence", Method: http.MethodPost, Path: api.PathSilences, DefaultStatus: http.StatusCreated,
		Summary:     "Tell nobody of a workload's reports for a while",
		Description: "Reports are made and listed as ever. Whoever may profile the workload may silence it. The same silence again is the one that is there.",
	}), h.silence)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "end-silence", Method: http.MethodDelete, Path: api.PathSilence("{id}"),
		Summary: "End a silence before its time",
	}), h.endSilence)
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "test-receiver", Method: http.MethodPost, Path: api.PathReceiverTest("{name}"),
		Summary:     "Send a test message to a receiver",
		Description: "By the receiver's own channel, once; the answer says what came of it. For administrators of all namespaces.",
	}), h.testReceiver)
}

func (h handlers) silences(ctx context.Context, in *silencesInput) (*silencesOutput, error) {
	all, err := h.Telling.Silences(ctx)
	if err != nil {
		return nil, h.fail(ctx, "listing silences", err)
	}
	out := &silencesOutput{api.SilenceList{Silences: []api.Silence{}}}
	for _, s := range all {
		if in.Namespace == "" || in.Namespace == s.Namespace {
			out.Body.Silences = append(out.Body.Silences, s)
		}
	}
	return out, nil
}

func (h handlers) silence(ctx context.Context, in *silenceInput) (*silenceOutput, error) {
	b := in.Body
	s, err := h.Telling.Silence(ctx, api.Silence{
		Cluster: b.Cluster, Namespace: b.Namespace, Workload: b.Workload, Cause: b.Cause, Why: b.Why, Until: b.Until.UTC(),
	})
	if err != nil {
		return nil, h.fail(ctx, "silencing "+b.Workload+" in "+b.Namespace, err)
	}
	return &silenceOutput{s}, nil
}

func (h handlers) endSilence(ctx context.Context, in *endSilenceInput) (*silenceOutput, error) {
	s, err := h.Telling.EndSilence(ctx, in.ID)
	if err != nil {
		return nil, h.fail(ctx, "ending the silence", err)
	}
	return &silenceOutput{s}, nil
}

func (h handlers) testReceiver(ctx context.Context, in *receiverInput) (*receiverOutput, error) {
	r, err := h.Telling.TestReceiver(ctx, in.Name)
	if err != nil {
		return nil, h.fail(ctx, "testing receiver "+in.Name, err)
	}
	return &receiverOutput{r}, nil
}
