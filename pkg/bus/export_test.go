package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What the tests look at from outside.
const (
	CapturesBytes = capturesBytes
	ChunkBytes    = chunkBytes
	Root          = root
	BucketStarts  = bucketStarts
	StreamStarts  = bucketStream + bucketStarts
)

// AgentInbox is the inbox prefix of a node.
func AgentInbox(cluster, node string) string { return agentInbox(cluster, node) }

// ReportSubject is where a report is published.
var ReportSubject = reportSubject

// ParseOrigin reads an agent's subject.
func ParseOrigin(kind, s string) (cluster, node, capture string, err error) {
	o, err := parseOrigin(kind, s)
	return o.cluster, o.node, o.capture, err
}

// ReadLetter reads a message as a dead letter, without a connection.
func ReadLetter(m *jetstream.RawStreamMsg) *Letter { return (&Aggregator{}).read(m) }

// HeaderValue is what a letter's header says of a text.
var HeaderValue = headerValue

// Messages is how many messages a stream holds.
func (a *Aggregator) Messages(ctx context.Context, stream string) (uint64, error) {
	s, err := a.js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.Msgs, nil
}

// Last is the newest message of a stream on a subject.
func (a *Aggregator) Last(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	s, err := a.js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	return s.GetLastMsgForSubject(ctx, subject)
}

// PublishRaw publishes whatever it is given, with the rights of the link.
func (l *link) PublishRaw(ctx context.Context, m *nats.Msg) error {
	_, err := l.publish(ctx, m)
	return err
}

// AskAgain makes the link ask sooner for a subscription that was refused.
func (l *link) AskAgain(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.again = d
}

// Conn is the connection itself.
func (l *link) Conn() *nats.Conn { return l.nc }

// PullEvery makes consumers ask more often when there is nothing.
func (a *Aggregator) PullEvery(d time.Duration) { a.pull = d }

// Waiting is how many messages a consumer has not ended. Of one that was given none that is all
// there are: while it is being made the server says that none waits.
func (a *Aggregator) Waiting(ctx context.Context, stream, durable string) (uint64, error) {
	c, err := a.js.Consumer(ctx, stream, durable)
	if err != nil {
		return 0, err
	}
	i := c.CachedInfo()
	if i.Delivered.Stream > 0 {
		return i.NumPending + uint64(i.NumAckPending), nil
	}
	s, err := a.js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.Msgs, nil
}

// Returned is how many messages a consumer was given more than once and has not ended.
func (a *Aggregator) Returned(ctx context.Context, stream, durable string) (int, error) {
	c, err := a.js.Consumer(ctx, stream, durable)
	if err != nil {
		return 0, err
	}
	return c.CachedInfo().NumRedelivered, nil
}

// DeleteConsumer removes a consumer as an administrator would.
func (a *Aggregator) DeleteConsumer(ctx context.Context, stream, durable string) error {
	return a.js.DeleteConsumer(ctx, stream, durable)
}

// ReplayUntil takes the first steps of a replay and dies. It returns false when there are
// no more than that.
func (l *Letter) ReplayUntil(ctx context.Context, steps int) (more bool, err error) {
	all := l.steps(true)
	for _, step := range all[:min(steps, len(all))] {
		if err := step(ctx); err != nil {
			return false, err
		}
	}
	return steps < len(all), nil
}

// DeadLetterWithout stores the letter and loses NATS before the delivery is ended.
func (d *Delivery) DeadLetterWithout(ctx context.Context, lose func()) error {
	lost := *d
	lost.msg = losing{d.msg, lose}
	return lost.DeadLetter(ctx, "worker_died", "")
}

// losing is a message of which the end cannot be told.
type losing struct {
	jetstream.Msg
	lose func()
}

func (l losing) Reply() string { l.lose(); return l.Msg.Reply() }

// LookEvery makes Lost look more often.
func (a *Aggregator) LookEvery(every, again time.Duration) { a.look.every, a.look.again = every, again }

// Looks is how often Lost has looked.
func (a *Aggregator) Looks() uint64 { return a.look.done.Load() }

// DeleteStream removes a stream as an administrator would.
func (a *Aggregator) DeleteStream(ctx context.Context, name string) error {
	return a.js.DeleteStream(ctx, name)
}

// Now has the agent take the time from elsewhere.
func (a *Agent) Now(now func() time.Time) { a.now = now }

// RemoveOrphans is one look of Orphans, which returns what it will remove at the next.
func (a *Aggregator) RemoveOrphans(ctx context.Context, seen map[string]uint64) (map[string]uint64, error) {
	return a.removeOrphans(ctx, seen)
}

// OrphansEvery makes Orphans look more often.
func (a *Aggregator) OrphansEvery(d time.Duration) { a.orphansEvery = d }

// BucketOver is a bucket on whatever keeps it.
func BucketOver(kv jetstream.KeyValue) *Bucket { return &Bucket{kv: kv} }

// Refused is how many messages were not believed for a reason.
func (a *Aggregator) Refused(reason gopprof.Reason) float64 {
	return testutil.ToFloat64(a.met.refused.WithLabelValues(string(reason)))
}
