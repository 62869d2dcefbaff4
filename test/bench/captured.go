package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

// taking has profiles of a target be taken, and returns what waits until they are where they
// belong.
type taking func(context.Context) (stored func(context.Context) error, err error)

// captured does something for some time while profiles are taken, or none if take is nil.
// The aggregator, which is elsewhere for nearly every target, stands still from when the agent
// was asked: what it draws on the same processors is no price of the capture. captured returns
// when the report is stored.
func captured(ctx context.Context, r *rig.Rig, take taking, length time.Duration, do func(context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(within) }()
	stored := func(context.Context) error { return nil }
	var err error
	if take != nil {
		stored, err = take(ctx)
	}
	if err == nil {
		err = r.Aggregator.Signal(syscall.SIGSTOP)
	}
	if err != nil {
		cancel()
		return errors.Join(err, <-done)
	}
	err = <-done
	if err := errors.Join(err, r.Aggregator.Signal(syscall.SIGCONT)); err != nil {
		return err
	}
	return stored(ctx)
}

// capture has one begin, and returns what waits for its report.
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
	waits := func(c gopprof.OperationCapture) bool { return c.State == gopprof.CaptureWaiting }
	for slices.ContainsFunc(op.Captures, waits) {
		if err := r.GetJSON(ctx, api.PathOperation(op.ID), &op); err != nil {
			return nil, err
		}
		if err := wait(ctx, 2*time.Millisecond); err != nil {
			return nil, err
		}
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

// direct is what curl would do: one kind after the other, read and thrown away.
func direct(ctx context.Context, url string, kinds []gopprof.Kind, length time.Duration) (done func(context.Context) error) {
	ended := make(chan error, 1)
	go func() {
		for _, k := range kinds {
			page := url + "/debug/pprof/" + k.Page()
			if k.Timed() {
				page += fmt.Sprintf("?seconds=%d", int(length.Seconds()))
			}
			if _, err := fetch(ctx, http.MethodGet, page, nil, http.StatusOK); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	return func(context.Context) error { return <-ended }
}
