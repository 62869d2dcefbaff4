package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

// captured does something for some time while kinds of profiles are taken; none is no capture.
// It returns when their report is stored.
func captured(ctx context.Context, r *rig.Rig, kinds []gopprof.Kind, length time.Duration, do func(context.Context) error) error {
	stored := func(context.Context) error { return nil }
	if len(kinds) > 0 {
		var err error
		if stored, err = capture(ctx, r, kinds, length-time.Second); err != nil {
			return err
		}
	}
	within, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	if err := do(within); err != nil {
		return err
	}
	return stored(ctx)
}

// capture begins one and returns what waits for its report.
func capture(ctx context.Context, r *rig.Rig, kinds []gopprof.Kind, length time.Duration) (stored func(context.Context) error, err error) {
	data, err := fetch(ctx, http.MethodPost, r.API+api.PathCaptures, api.CaptureRequest{
		Namespace: "shop", Pod: "checkout-0", Kinds: kinds, Seconds: length.Seconds(),
	}, http.StatusAccepted)
	if err != nil {
		return nil, err
	}
	var op gopprof.Operation
	if err := json.Unmarshal(data, &op); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := rig.Poll(ctx, func() error {
			err := r.GetJSON(ctx, api.PathOperation(op.ID), &op)
			if err == nil && !op.Ended() {
				err = fmt.Errorf("operation %s has not ended", op.ID)
			}
			return err
		}); err != nil {
			return err
		}
		if slices.ContainsFunc(op.Captures, func(c gopprof.OperationCapture) bool { return c.State != gopprof.CaptureStored }) {
			return fmt.Errorf("the capture came to nothing: %+v", op.Captures)
		}
		return nil
	}, nil
}
