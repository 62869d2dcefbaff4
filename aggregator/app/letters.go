package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/aggregator/receive"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// lettersPath is where the status port has the dead letters; one of them is below it.
const lettersPath = "/dead-letters"

// letterBox lets a person look at the dead letters and have them handled again, by way of
// the status port: the embedded NATS lives in this process.
type letterBox struct {
	bus     *bus.Aggregator
	store   storer
	replays *prometheus.CounterVec
}

func newLetterBox(b *bus.Aggregator, s storer, reg prometheus.Registerer) *letterBox {
	l := &letterBox{bus: b, store: s, replays: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gopprof_aggregator_dead_letter_replays_total",
		Help: "Dead letters that somebody asked to be handled again, by the reason why they could not be: empty when they are back in the queue.",
	}, []string{"reason"})}
	reg.MustRegister(l.replays)
	return l
}

// handlers are for ops.Handler. A page in somebody's browser can make it send a POST to
// loopback; that is refused.
func (b *letterBox) handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"GET " + lettersPath:            http.HandlerFunc(b.list),
		"POST " + lettersPath + "/{id}": http.NewCrossOriginProtection().Handler(http.HandlerFunc(b.replay)),
	}
}

// list answers with one line for each letter, oldest first: ID, reason, when, target and
// detail, with tabs between them.
func (b *letterBox) list(w http.ResponseWriter, r *http.Request) {
	var out bytes.Buffer // the streams bound it, and an error must not look like the end
	err := b.bus.Letters(r.Context(), "", func(l *bus.Letter) error {
		out.WriteString(lineOf(l))
		return nil
	})
	if err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, out.String())
}

func lineOf(l *bus.Letter) string {
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\n", l.ID, l.Reason, l.At.UTC().Format(time.RFC3339), whoseLetter(l), l.Detail)
}

func whoseLetter(l *bus.Letter) string {
	t := l.Capture.Target
	if l.Err != nil {
		t = gopprof.Target{Cluster: l.Cluster, Node: l.Node, Namespace: "?", Pod: "?", Container: "?"}
	}
	return profile.Printable(fmt.Sprintf("%s/%s/%s@%s/%s", t.Namespace, t.Pod, t.Container, t.Cluster, t.Node), 400)
}

// replay puts the letters of one capture back into the queue. There can be several: an agent
// may name its captures as it likes, and must not hold up another's.
func (b *letterBox) replay(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	var done, refused []error
	err := b.bus.Letters(r.Context(), id, func(l *bus.Letter) error {
		switch err := b.again(r.Context(), l); {
		case err == nil, errors.Is(err, bus.ErrWaiting):
			b.replays.WithLabelValues("").Inc()
			done = append(done, err)
		default:
			b.replays.WithLabelValues(string(whyNot(err))).Inc()
			refused = append(refused, fmt.Errorf("%s: %w", whyNot(err), err))
		}
		return nil
	})
	err = errors.Join(append(refused, err)...)
	switch {
	case len(done) > 0 && errors.Join(done...) != nil:
		answer(w, http.StatusOK, id+" waits in the queue already; its letter stays\n")
	case len(done) > 0:
		answer(w, http.StatusOK, id+" is back in the queue\n")
	case err != nil:
		answer(w, http.StatusConflict, profile.Printable(err.Error(), 1000))
	default:
		answer(w, http.StatusNotFound, "no dead letter of that ID")
	}
}

// whyNot names what a replay failed with.
func whyNot(err error) gopprof.Reason {
	if reason := receive.ReasonOf(err); reason != "" {
		return reason
	}
	if errors.Is(err, errStore) {
		return gopprof.ReasonStoreFailed
	}
	return gopprof.ReasonNoAnswer // of NATS
}

var errStore = errors.New("the store does not say whether its report is there")

// again replays one letter. A capture whose report is stored already needs no bytes: it is
// announced again, and ended.
func (b *letterBox) again(ctx context.Context, l *bus.Letter) error {
	if l.Err != nil {
		return l.Replay(ctx, true) // which says why not
	}
	_, stored, err := b.store.Committed(ctx, l.Capture)
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	return l.Replay(ctx, !stored)
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the caller went away
}
