package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/poll"
)

// TestReaders: each reader gets the reports of its namespaces, by a durable consumer that was
// made for it. The programs that docs/nats.md gives to downstream consumers are run by
// docs/examples.
func TestReaders(t *testing.T) {
	shopFile, shopKey := bustest.NewKeyFile(t)
	allFile, allKey := bustest.NewKeyFile(t)
	b := bustest.Start(t, bustest.Options{Consumers: []embedded.ConsumerUser{
		{Name: "shop", NKey: shopKey, Namespaces: []string{"shop", "shop.eu"}}, {Name: "all", NKey: allKey},
	}})
	agg := b.Aggregator()
	readers := []bus.Reader{{Name: "shop", Namespaces: []string{"shop", "shop.eu"}}, {Name: "all"}, {Name: "old"}}
	for _, r := range [][]bus.Reader{readers, readers[:2]} { // the second time without "old"
		if err := agg.EnsureReaders(within(t), r); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for _, ns := range []string{"shop", "bank", "shop.eu"} {
		r := report(capture(t, "a"))
		r.Capture.Target.Namespace = ns
		if err := agg.PublishReport(within(t), r); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	for name, tc := range map[string]struct {
		file string
		want []string
	}{"shop": {shopFile, []string{ids[0], ids[2]}}, "all": {allFile, ids}} {
		t.Run(name, func(t *testing.T) {
			got := read(t, b.Server.URL(), tc.file, name, len(tc.want))
			for i, r := range got {
				if r.ID != tc.want[i] {
					t.Errorf("report %d is of namespace %q", i, r.Capture.Target.Namespace)
				}
			}
		})
	}
	t.Run("nothing else", func(t *testing.T) { readsNothingElse(t, b.Server.URL(), shopFile) })
}

// read returns the first n reports that a reader sees.
func read(t *testing.T, url, seedFile, name string, n int) []gopprof.Report {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	var got []gopprof.Report
	err := readReports(ctx, url, seedFile, name, func(event []byte) error {
		r, err := wire.DecodeReport(event)
		if err != nil {
			return err
		}
		if got = append(got, r); len(got) == n {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || len(got) != n {
		t.Fatalf("%d reports, want %d: %v", len(got), n, err)
	}
	return got
}

// readsNothingElse: a reader may not use another's consumer, make its own, or look at
// streams and records.
func readsNothingElse(t *testing.T, url, seedFile string) {
	key, err := nats.NkeyOptionFromSeed(seedFile)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 100)
	nc, err := nats.Connect(url, key, nats.CustomInboxPrefix("_INBOX.consumer.shop"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { failed <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, subject := range notReaders() {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, failed, subject)
	}
	for _, subject := range []string{">", "gopprof.v1.report.>", "gopprof.v1.report.*.shop.>", "gopprof.v1.api.>", "_INBOX.>", "_INBOX.consumer.all.>", "$JS.>", "$JS.EVENT.>", "$JS.ACK.>", "$KV.>"} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, failed, subject)
	}
}

// notReaders are subjects that the reader "shop" may not publish to: of everything that
// JetStream can be asked, by either prefix, all but its own consumer's next message and
// state; of acknowledgements all but its own.
func notReaders() []string {
	all := []string{"$JS.ACK.GOPPROF_REPORTS.reader-all.1.1.1.1.1", "$JS.FC.GOPPROF_REPORTS.reader-all.x", "$KV.gopprof-told.x", "$SYS.REQ.SERVER.PING",
		"gopprof.v1.report.test.shop.x.y.z", "gopprof.v1.capture.test.a.x", "_INBOX.consumer.all.x", "_INBOX.aggregator.x",
		"$JS.API.CONSUMER.INFO.GOPPROF_REPORTS.reader-shop", "$JS.API.CONSUMER.MSG.NEXT.GOPPROF_REPORTS.reader-shop"}
	for _, prefix := range []string{"$JS.API", "gopprof.v1.api"} {
		for _, verb := range []string{
			// Another's consumer.
			"CONSUMER.MSG.NEXT.GOPPROF_REPORTS.reader-all", "CONSUMER.INFO.GOPPROF_REPORTS.reader-all", "CONSUMER.DELETE.GOPPROF_REPORTS.reader-all",
			"CONSUMER.MSG.NEXT.GOPPROF_CAPTURES.gopprof-receive", "CONSUMER.NAMES.GOPPROF_REPORTS", "CONSUMER.LIST.GOPPROF_REPORTS",
			// One of its own: with a wider filter, with its own, under the name that it has.
			"CONSUMER.CREATE.GOPPROF_REPORTS", "CONSUMER.CREATE.GOPPROF_REPORTS.mine", "CONSUMER.CREATE.GOPPROF_REPORTS.mine.gopprof.v1.report.test.shop.>",
			"CONSUMER.CREATE.GOPPROF_REPORTS.mine.gopprof.v1.report.>", "CONSUMER.CREATE.GOPPROF_REPORTS.reader-shop.gopprof.v1.report.>",
			"CONSUMER.DURABLE.CREATE.GOPPROF_REPORTS.reader-shop", "CONSUMER.DELETE.GOPPROF_REPORTS.reader-shop", "CONSUMER.PAUSE.GOPPROF_REPORTS.reader-shop",
			"CONSUMER.UNPIN.GOPPROF_REPORTS.reader-shop", "CONSUMER.RESET.GOPPROF_REPORTS.reader-shop", "CONSUMER.LEADER.STEPDOWN.GOPPROF_REPORTS.reader-shop",
			// Messages past every consumer.
			"STREAM.MSG.GET.GOPPROF_REPORTS", "STREAM.MSG.DELETE.GOPPROF_REPORTS", "DIRECT.GET.GOPPROF_REPORTS",
			"DIRECT.GET.GOPPROF_REPORTS.gopprof.v1.report.test.bank.x.y.z", "DIRECT.GET.KV_gopprof-told.$KV.gopprof-told.x",
			// Streams.
			"INFO", "STREAM.INFO.GOPPROF_REPORTS", "STREAM.NAMES", "STREAM.LIST", "STREAM.PURGE.GOPPROF_REPORTS", "STREAM.DELETE.GOPPROF_REPORTS",
			"STREAM.UPDATE.GOPPROF_REPORTS", "STREAM.CREATE.MINE", "STREAM.SNAPSHOT.GOPPROF_REPORTS", "STREAM.RESTORE.GOPPROF_REPORTS",
		} {
			all = append(all, prefix+"."+verb)
		}
	}
	return all
}

// TestReadersAnswersGoNowhereElse: a reader chooses where its answer goes, and the server puts
// it there with rights of its own. Whatever it chooses, it acknowledges nothing of another's
// and publishes nothing.
func TestReadersAnswersGoNowhereElse(t *testing.T) {
	shopFile, shopKey := bustest.NewKeyFile(t)
	allFile, allKey := bustest.NewKeyFile(t)
	b := bustest.Start(t, bustest.Options{Consumers: []embedded.ConsumerUser{{Name: "shop", NKey: shopKey, Namespaces: []string{"shop"}}, {Name: "all", NKey: allKey}}})
	agg := b.Aggregator()
	if err := agg.EnsureReaders(within(t), []bus.Reader{{Name: "shop", Namespaces: []string{"shop"}}, {Name: "all"}}); err != nil {
		t.Fatal(err)
	}
	if err := agg.PublishReport(within(t), report(capture(t, "a"))); err != nil {
		t.Fatal(err)
	}
	all := readerConn(t, b.Server.URL(), allFile, "all")
	m, err := all.Request("gopprof.v1.api.CONSUMER.MSG.NEXT.GOPPROF_REPORTS.reader-all", []byte(`{"batch":1}`), poll.Patience)
	if err != nil {
		t.Fatal(err)
	}
	ack := m.Reply // which "all" does not send
	heard := b.Hear(bus.Root + ">")
	shop := readerConn(t, b.Server.URL(), shopFile, "shop")
	const next, info = "gopprof.v1.api.CONSUMER.MSG.NEXT.GOPPROF_REPORTS.reader-shop", "gopprof.v1.api.CONSUMER.INFO.GOPPROF_REPORTS.reader-shop"
	replies := append(notReaders(), ack)
	for _, reply := range replies {
		for subject, body := range map[string]string{next: `{"batch":1,"no_wait":true}`, info: ""} {
			if err := shop.PublishRequest(subject, reply, []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, subject := range []string{info, next} {
		if _, err := shop.Request(subject, []byte(`{"batch":1,"no_wait":true}`), poll.Patience); err != nil {
			t.Fatal(err) // in order behind the others
		}
	}
	if n, err := agg.Waiting(within(t), bus.StreamReports, "reader-all"); err != nil || n != 1 {
		t.Errorf("%d reports wait for the other reader, want 1: %v", n, err)
	}
	for _, stream := range []string{bus.StreamCaptures, "KV_" + bus.BucketTold} {
		if n := b.Messages(stream); n != 0 {
			t.Errorf("%d messages in %s, put there by answers", n, stream)
		}
	}
	mark := report(capture(t, "a"))
	if err := agg.PublishReport(within(t), mark); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := heard.NextMsg(poll.Patience)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject == bus.ReportSubject(mark) {
			return
		}
		t.Errorf("an answer went to %q", m.Subject)
	}
}

// readerConn signs in as a reader, with nothing of ours between.
func readerConn(t *testing.T, url, seedFile, name string) *nats.Conn {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(seedFile)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(url, key, nats.CustomInboxPrefix(bus.ConsumerInbox(name)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// readReports hands each report to handle, at least once, until ctx ends. What handle
// refuses comes again.
func readReports(ctx context.Context, url, seedFile, name string, handle func(event []byte) error) error {
	key, err := nats.NkeyOptionFromSeed(seedFile)
	if err != nil {
		return err
	}
	nc, err := nats.Connect(url, key, nats.CustomInboxPrefix("_INBOX.consumer."+name), nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.NewWithAPIPrefix(nc, "gopprof.v1.api")
	if err != nil {
		return err
	}
	reports, err := js.Consumer(ctx, "GOPPROF_REPORTS", "reader-"+name)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		msg, err := reports.Next(jetstream.FetchMaxWait(10 * time.Second))
		if errors.Is(err, nats.ErrTimeout) {
			continue // nothing new
		}
		if err != nil {
			return err
		}
		if handle(msg.Data()) != nil {
			err = msg.NakWithDelay(time.Minute)
		} else {
			err = msg.DoubleAck(context.WithoutCancel(ctx))
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
