package bus

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Reader is a downstream consumer of reports.
type Reader struct {
	Name       string
	Namespaces []string // whose reports it may read; none is all
}

// readerPrefix begins the names of the durable consumers of readers.
const readerPrefix = "reader-"

// EnsureReaders makes the durable consumers of exactly these readers, and removes those of
// others. Readers may not make their own: what a reader sees is what its consumer was
// made for.
func (a *Aggregator) EnsureReaders(ctx context.Context, readers []Reader) error {
	if err := a.await(ctx); err != nil {
		return fmt.Errorf("making consumers: %w", err)
	}
	known := map[string]bool{}
	for _, r := range readers {
		known[ConsumerDurable(r.Name)] = true
		if _, err := a.js.CreateOrUpdateConsumer(ctx, StreamReports, a.readerConfig(r)); err != nil {
			return fmt.Errorf("making consumer of %q: %w", r.Name, classify(ctx, err))
		}
	}
	return a.removeReaders(ctx, known)
}

func (a *Aggregator) readerConfig(r Reader) jetstream.ConsumerConfig {
	filters := make([]string, 0, len(r.Namespaces))
	for _, ns := range r.Namespaces {
		filters = append(filters, root+"report.*."+Token(ns)+".>")
	}
	return jetstream.ConsumerConfig{
		Durable: ConsumerDurable(r.Name), FilterSubjects: filters,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: a.streamConfig().AckWait,
		MaxDeliver: -1, MaxAckPending: pending, DeliverPolicy: jetstream.DeliverAllPolicy,
	}
}

// removeReaders removes the consumers of readers that are not known any more.
func (a *Aggregator) removeReaders(ctx context.Context, known map[string]bool) error {
	s, err := a.stream(ctx, StreamReports)
	if err != nil {
		return fmt.Errorf("removing consumers: %w", err)
	}
	names := s.ConsumerNames(ctx)
	for name := range names.Name() {
		if !strings.HasPrefix(name, readerPrefix) || known[name] {
			continue
		}
		if err := s.DeleteConsumer(ctx, name); err != nil {
			return fmt.Errorf("removing consumer %q: %w", name, classify(ctx, err))
		}
	}
	if err := names.Err(); err != nil {
		return fmt.Errorf("removing consumers: %w", classify(ctx, err))
	}
	return nil
}
