// Command consumer keeps each of gopprof's reports that its user may read as a file, once, and
// prints a line of it.
//
// It is meant to be copied: put your own work in the place of keep. What it holds to is worth
// keeping. A report is acknowledged after the work is done and never before, so none is lost
// when the program is killed. What was not acknowledged comes again, so the work is done once
// for each ID. NATS may go away at any time; the program waits for it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	log.SetFlags(0)
	url := flag.String("url", "nats://127.0.0.1:4222", "the NATS server: tls://… beyond its own machine")
	name := flag.String("name", "", "this consumer, as the aggregator's embedded.consumers names it")
	key := flag.String("key", "", "file with the seed that aggregator --new-key wrote")
	ca := flag.String("ca", "", "certificates (PEM) of the server's authority, where it is a private one")
	dir := flag.String("dir", "reports", "where reports are kept")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	nc, err := connect(*url, *name, *key, *ca)
	if err == nil {
		defer nc.Close()
		err = consume(ctx, nc, *name, *dir)
	}
	if err != nil {
		log.Fatalln("consumer:", err)
	}
}

// connect signs in as the consumer of that name.
func connect(url, name, key, ca string) (*nats.Conn, error) {
	seed, err := nats.NkeyOptionFromSeed(key)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	options := []nats.Option{
		seed,
		nats.CustomInboxPrefix("_INBOX.consumer." + name), // the only subjects it may subscribe to
		nats.MaxReconnects(-1),                            // NATS comes back, and so do we
		nats.IgnoreAuthErrorAbort(),                       // also where the key was unknown for a while
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Println("consumer:", err) }),
	}
	if ca != "" {
		options = append(options, nats.RootCAs(ca))
	}
	return nats.Connect(url, options...)
}

// consume handles one report after the other until ctx ends.
func consume(ctx context.Context, nc *nats.Conn, name, dir string) error {
	js, err := jetstream.NewWithAPIPrefix(nc, "gopprof.v1.api")
	if err != nil {
		return err
	}
	// The aggregator made the durable consumer, for the namespaces of its configuration.
	reports, err := js.Consumer(ctx, "GOPPROF_REPORTS", "reader-"+name)
	if err != nil {
		return fmt.Errorf("looking for the consumer of %q: %w", name, err)
	}
	for ctx.Err() == nil {
		msg, err := next(ctx, reports)
		if err == nil {
			err = settle(msg, handle(msg.Data(), dir))
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
			log.Println("consumer:", err)
			pause(ctx, time.Second)
		}
	}
	return nil
}

// next waits for a report. An error is nothing new, or NATS being away.
func next(ctx context.Context, reports jetstream.Consumer) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return reports.Next(jetstream.FetchContext(ctx))
}

var errNoReport = errors.New("not a report")

// settle tells the server what became of a report: done, to come again, or never again.
func settle(msg jetstream.Msg, err error) error {
	switch {
	case errors.Is(err, errNoReport):
		return errors.Join(err, msg.Term())
	case err != nil:
		return errors.Join(err, msg.NakWithDelay(time.Minute))
	}
	return msg.Ack()
}

// report is what this program looks at. docs/schemas/report.json has the rest.
type report struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data struct {
		Capture struct {
			Target struct {
				Namespace string `json:"namespace"`
				Pod       string `json:"pod"`
			} `json:"target"`
		} `json:"capture"`
		Explanation struct {
			Summary string `json:"summary"`
		} `json:"explanation"`
	} `json:"data"`
}

// handle does the work for a report. One that was handled before is no error. Work that may
// take longer than a minute must say so meanwhile, by msg.InProgress, or the report comes again.
func handle(event []byte, dir string) error {
	var r report
	if err := json.Unmarshal(event, &r); err != nil {
		return fmt.Errorf("%w: %w", errNoReport, err)
	}
	if r.Type != "io.gopprof.report.v1" || r.ID != filepath.Base(r.ID) { // the ID becomes a file name
		return fmt.Errorf("%w: type %q, ID %q", errNoReport, r.Type, r.ID)
	}
	err := keep(filepath.Join(dir, r.ID+".json"), event)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		fmt.Printf("%s %s/%s: %s\n", r.ID, r.Data.Capture.Target.Namespace, r.Data.Capture.Target.Pod, r.Data.Explanation.Summary)
	}
	return err
}

// keep writes a file as a whole or not at all; fs.ErrExist if it is there already.
func keep(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // what is left of a failure
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path) // unlike a rename it takes nothing's place
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
