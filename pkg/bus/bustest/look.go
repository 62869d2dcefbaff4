package bustest

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Messages is how many messages a stream holds, as an administrator would see it.
func (b *Bus) Messages(stream string) uint64 {
	b.t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(b.Server), nats.Nkey(b.Server.NKey(), b.Server.Sign), nats.CustomInboxPrefix("_INBOX.aggregator"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), Patience)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}
