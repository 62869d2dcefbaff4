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
)

// TestReaders runs the code that docs/nats.md shows to downstream consumers.
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
	for _, subject := range []string{
		"gopprof.v1.api.CONSUMER.MSG.NEXT.GOPPROF_REPORTS.reader-all", "gopprof.v1.api.CONSUMER.INFO.GOPPROF_REPORTS.reader-all",
		"$JS.API.CONSUMER.MSG.NEXT.GOPPROF_REPORTS.reader-all", "$JS.API.CONSUMER.INFO.GOPPROF_REPORTS.reader-shop",
		"$JS.API.CONSUMER.CREATE.GOPPROF_REPORTS.mine", "$JS.API.CONSUMER.DELETE.GOPPROF_REPORTS.reader-shop",
		"$JS.API.STREAM.INFO.GOPPROF_REPORTS", "$JS.API.STREAM.MSG.GET.GOPPROF_REPORTS", "$JS.API.DIRECT.GET.GOPPROF_REPORTS",
		"$JS.ACK.GOPPROF_REPORTS.reader-all.1.1.1.1.1", "$KV.gopprof-told.x", "gopprof.v1.report.test.shop.x.y.z",
	} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, failed, subject)
	}
	for _, subject := range []string{">", "gopprof.v1.report.>", "_INBOX.>", "_INBOX.consumer.all.>", "$JS.EVENT.>"} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, failed, subject)
	}
}

// docs/nats.md shows what stands between these two lines.
// begin: docs/nats.md

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

// end: docs/nats.md
