package bustest

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gopprof/gopprof/test/poll"
)

// Messages is how many messages a stream holds, as an administrator would see it.
func (b *Bus) Messages(stream string) uint64 {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), poll.Patience)
	defer cancel()
	s, done := b.stream(ctx, stream)
	defer done()
	return s.CachedInfo().State.Msgs
}

// Read returns all messages that a stream holds, oldest first, as an administrator would
// see them. It changes nothing.
func (b *Bus) Read(stream string) []*jetstream.RawStreamMsg {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), poll.Patience)
	defer cancel()
	s, done := b.stream(ctx, stream)
	defer done()
	state := s.CachedInfo().State
	var all []*jetstream.RawStreamMsg
	for next := state.FirstSeq; len(all) < int(state.Msgs); next = all[len(all)-1].Sequence + 1 {
		m, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(">")) // the first one from there on
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// Hear returns all that passes on a subject from now on, as an administrator would see it.
func (b *Bus) Hear(subject string) *nats.Subscription {
	b.t.Helper()
	nc := b.look()
	b.t.Cleanup(nc.Close)
	s, err := nc.SubscribeSync(subject)
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// stream returns a stream, and what closes the connection that looks at it.
func (b *Bus) stream(ctx context.Context, name string) (s jetstream.Stream, done func()) {
	b.t.Helper()
	nc := b.look()
	js, err := jetstream.New(nc)
	if err == nil {
		s, err = js.Stream(ctx, name)
	}
	if err != nil {
		nc.Close()
		b.t.Fatal(err)
	}
	return s, nc.Close
}

// look returns a connection of the aggregator's user.
func (b *Bus) look() *nats.Conn {
	b.t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(b.Server), nats.Nkey(b.Server.NKey(), b.Server.Sign), nats.CustomInboxPrefix("_INBOX.aggregator"))
	if err != nil {
		b.t.Fatal(err)
	}
	return nc
}
