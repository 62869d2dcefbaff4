package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// eventWithin is how long one event may take on its way before its reader is given up.
const eventWithin = 30 * time.Second

// events answers with an operation's progress as server-sent events, until it has ended,
// the reader leaves or the server stops. (huma has server-sent events of its own, which
// answer 200 before anything can be refused.)
func (h handlers) events(w http.ResponseWriter, r *http.Request) {
	ctx, control := h.untilStopped(r.Context()), http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // or the stream ends with the server's own time-out
	began := false
	err := h.Captures.Follow(ctx, r.PathValue("id"), func(op gopprof.Operation) bool {
		if !began {
			began = true
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("X-Accel-Buffering", "no") // a proxy must pass on what it has
		}
		return h.event(w, control, op) == nil
	})
	switch {
	case err == nil:
	case !began:
		h.refuse(w, r, "following the operation", err)
	case ctx.Err() == nil:
		h.Log.Warn("progress ended early", zap.String("operation", r.PathValue("id")), zap.Error(err))
	}
}

// untilStopped is a request's context that ends when the server stops, too: an answer that
// takes its time would hold up its end.
func (h handlers) untilStopped(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-h.Stopping:
		case <-ctx.Done():
		}
	}()
	return ctx
}

// event writes one event. The server's own time-out is for whole answers; here each event
// has its own.
func (h handlers) event(w http.ResponseWriter, control *http.ResponseController, op gopprof.Operation) error {
	data, err := json.Marshal(op)
	if err != nil {
		return err
	}
	_ = control.SetWriteDeadline(time.Now().Add(eventWithin)) // where there is none there is no time-out either
	if _, err := fmt.Fprintf(w, "event: state\nid: %d\ndata: %s\n\n", h.Now().UnixMilli(), data); err != nil {
		return err
	}
	return control.Flush()
}

// refuse answers a request that huma does not see as huma's are answered.
func (h handlers) refuse(w http.ResponseWriter, r *http.Request, doing string, err error) {
	WriteProblem(w, h.refusal(w, r, doing, err))
}

// refusal is the answer to an error; what every form of it has in its header is written.
func (h handlers) refusal(w http.ResponseWriter, r *http.Request, doing string, err error) api.Problem {
	p := h.problemOf(r.Context(), doing, err)
	if p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", h.retryAfter())
	}
	return p
}
