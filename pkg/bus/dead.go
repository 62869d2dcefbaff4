package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The headers of a dead letter. Its body is the message as it came.
const (
	HeaderReason    = "Gopprof-Reason"
	HeaderDetail    = "Gopprof-Detail"
	HeaderSubject   = "Gopprof-Subject"   // where it came
	HeaderBytes     = "Gopprof-Bytes"     // subject of the chunks that are left
	HeaderChunks    = "Gopprof-Chunks"    // how many they are
	HeaderTruncated = "Gopprof-Truncated" // length of the message, when not all of it is kept
)

// deadKeep is what is kept of a message so large that it does not fit beside its headers.
const deadKeep = 512 << 10

// DeadLetter puts the delivery where a person can look at it, and ends it: stored first,
// then terminated. Chunks that are left stay until their age ends.
func (d *Delivery) DeadLetter(ctx context.Context, reason gopprof.Reason, detail string) error {
	if err := d.Letter(ctx, reason, detail); err != nil {
		return err
	}
	if err := d.settle(ctx, "+TERM "+string(reason), "terminating"); err != nil {
		return err
	}
	d.a.log.Error("capture dead-lettered", zap.String("node", d.from.node), zap.String("capture", d.from.capture),
		zap.String("reason", string(reason)), zap.String("detail", clip(detail)))
	return nil
}

// Letter is the first half of DeadLetter: the letter is stored, and the delivery goes on. Doing
// so again while NATS remembers message IDs changes nothing.
func (d *Delivery) Letter(ctx context.Context, reason gopprof.Reason, detail string) error {
	m := d.deadLetter(ctx, reason, detail)
	id := jetstream.WithMsgID("dead." + d.sequence())
	_, err := d.a.publish(ctx, m, id)
	if errors.Is(err, ErrTooLarge) && len(m.Data) > deadKeep {
		m.Header.Set(HeaderTruncated, strconv.Itoa(len(m.Data)))
		m.Data = m.Data[:deadKeep]
		_, err = d.a.publish(ctx, m, id)
	}
	if err != nil {
		return fmt.Errorf("dead-lettering capture %q: %w", clip(d.from.capture), err)
	}
	return nil
}

func (d *Delivery) deadLetter(ctx context.Context, reason gopprof.Reason, detail string) *nats.Msg {
	m := nats.NewMsg(subject("dead", d.from.cluster, d.from.node, d.from.capture))
	m.Data = d.msg.Data()
	m.Header.Set(HeaderReason, string(reason))
	m.Header.Set(HeaderDetail, headerValue(detail))
	m.Header.Set(HeaderSubject, d.msg.Subject())
	if n := d.countChunks(ctx); n > 0 {
		m.Header.Set(HeaderBytes, d.chunks())
		m.Header.Set(HeaderChunks, strconv.Itoa(n))
	}
	return m
}

// countChunks is best effort: a dead letter without the number is better than none.
func (d *Delivery) countChunks(ctx context.Context) int {
	list, end, err := d.a.listChunks(ctx, d.chunks())
	if err != nil {
		return 0
	}
	defer end()
	return int(list.CachedInfo().NumPending)
}

// sequence is the number of the message in its stream.
func (d *Delivery) sequence() string {
	meta, err := d.msg.Metadata()
	if err != nil {
		return d.msg.Subject()
	}
	return strconv.FormatUint(meta.Sequence.Stream, 10)
}

// headerValue makes foreign text one short line of printable ASCII.
func headerValue(s string) string {
	q := strconv.QuoteToASCII(clip(s))
	return q[1 : len(q)-1]
}

// Starts returns how many workers have begun with this capture and not ended.
func (d *Delivery) Starts(ctx context.Context) (int, error) {
	b, err := d.a.Bucket(ctx, bucketStarts)
	if err != nil {
		return 0, fmt.Errorf("counting starts: %w", err)
	}
	value, _, err := b.Get(ctx, d.startsKey())
	if errors.Is(err, ErrNoKey) {
		return 0, nil
	}
	return parseCount(value), err
}

// Started notes that a worker begins with this capture, and returns how many have begun
// and not ended: 1 for the first. What kills its worker is counted so.
func (d *Delivery) Started(ctx context.Context) (int, error) {
	b, err := d.a.Bucket(ctx, bucketStarts)
	if err != nil {
		return 0, fmt.Errorf("counting starts: %w", err)
	}
	for {
		n, err := b.increment(ctx, d.startsKey())
		if !errors.Is(err, ErrConflict) {
			return n, err
		}
	}
}

// increment adds 1 to a number; ErrConflict when somebody else was faster.
func (b *Bucket) increment(ctx context.Context, key string) (int, error) {
	value, revision, err := b.Get(ctx, key)
	if errors.Is(err, ErrNoKey) {
		_, err = b.Create(ctx, key, []byte("1"))
		return 1, err
	}
	if err != nil {
		return 0, err
	}
	n := parseCount(value) + 1
	_, err = b.Update(ctx, key, []byte(strconv.Itoa(n)), revision)
	return n, err
}

// Finished notes that the worker has ended, well or not.
func (d *Delivery) Finished(ctx context.Context) error { return d.a.forgetStarts(ctx, d.startsKey()) }

func (a *Aggregator) forgetStarts(ctx context.Context, key string) error {
	b, err := a.Bucket(ctx, bucketStarts)
	if err != nil {
		return fmt.Errorf("counting starts: %w", err)
	}
	return b.Forget(ctx, key)
}

func (d *Delivery) startsKey() string { return d.msg.Subject() }
