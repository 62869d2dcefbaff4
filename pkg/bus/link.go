package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// ackWait is how long JetStream may take to acknowledge one message before it counts as
// away: it syncs every write, and disks stall.
const ackWait = 15 * time.Second

// askAgain is after how long, more or less, a subscription is asked for anew that was refused.
const askAgain = 2 * time.Minute

// link is one connection that comes back for ever, with what it knows about why it is
// not there and what was refused on it.
type link struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	log    *zap.Logger
	met    *metrics
	url    string // where it connects to, for people
	closed chan struct{}
	ready  func() error // why the server takes nothing, where that is known; nil: it is not

	mu      sync.Mutex
	cause   error // why there is no connection
	denied  error // a subscription that this connection was refused
	again   time.Duration
	waiting map[*wait]struct{}
}

// wait is one message whose answer somebody waits for.
type wait struct {
	subject string
	cancel  context.CancelCauseFunc
}

// dial connects, or returns a link that goes on trying.
func dial(opts []nats.Option, url string, log *zap.Logger, met *metrics) (*link, error) {
	l := &link{log: log, met: met, url: cmp.Or(url, "this process"), closed: make(chan struct{}), again: askAgain, waiting: map[*wait]struct{}{}}
	nc, err := nats.Connect(url, append(opts, l.handlers()...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to nats: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("connecting to nats: %w", err)
	}
	l.nc, l.js = nc, js
	return l, nil
}

func (l *link) handlers() []nats.Option {
	return []nats.Option{
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // a caller told "away" must not find it sent later
		nats.ConnectHandler(l.up),
		nats.ReconnectHandler(l.up),
		nats.DisconnectErrHandler(l.down),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.failed(err) }),
		nats.ErrorHandler(l.async),
		nats.ClosedHandler(func(*nats.Conn) { close(l.closed) }),
	}
}

func (l *link) up(nc *nats.Conn) {
	l.mu.Lock()
	l.cause, l.denied = nil, nil
	l.mu.Unlock()
	l.met.connected.Set(1)
	l.log.Info("connected to nats", zap.String("url", nc.ConnectedUrlRedacted()))
}

// down tells everybody who waits that no answer will come.
func (l *link) down(_ *nats.Conn, err error) {
	l.mu.Lock()
	l.cause = err
	for w := range l.waiting {
		w.cancel(ErrAway)
	}
	l.mu.Unlock()
	l.met.connected.Set(0)
	l.met.lost.Inc()
	l.log.Warn("nats connection lost", zap.Error(err))
}

// failed notes why an attempt to connect failed, and logs it when it is news.
func (l *link) failed(err error) {
	l.mu.Lock()
	news := l.cause == nil || err != nil && l.cause.Error() != err.Error()
	l.cause = err
	l.mu.Unlock()
	if news {
		l.log.Warn("connecting to nats failed, trying again", zap.String("url", l.url), zap.Error(err))
	}
}

// deniedSubject finds the subject in the server's text, the only place where it stands.
var deniedSubject = regexp.MustCompile(`Permissions Violation for (Publish|Subscription) to "([^"]+)"`)

// async takes the errors that the server reports beside the answers.
func (l *link) async(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		l.log.Warn("nats reported an error", zap.Error(err))
		return
	}
	l.met.denied.Inc()
	l.log.Error("nats refused a subject", zap.Error(err))
	parts := deniedSubject.FindStringSubmatch(err.Error())
	l.mu.Lock()
	defer l.mu.Unlock()
	if parts == nil || parts[1] == "Subscription" {
		l.deny(err)
		return
	}
	for w := range l.waiting {
		if w.subject == parts[2] {
			w.cancel(fmt.Errorf("%w: %w", ErrRefused, err))
		}
	}
}

// deny notes a subscription that is refused, or no longer allowed. The server keeps none of it,
// also for the time when it is allowed again: another connection has to ask anew. All agents
// may be refused at once, and come back each at a moment of its own. The caller holds mu.
func (l *link) deny(err error) {
	if l.denied == nil {
		time.AfterFunc(l.again/2+rand.N(l.again), l.renew)
	}
	l.denied = err
}

// renew takes another connection if what was refused is refused still.
func (l *link) renew() {
	l.mu.Lock()
	denied := l.denied
	l.mu.Unlock()
	if denied != nil && !l.nc.IsDraining() {
		_ = l.nc.ForceReconnect() // it is closed: nobody asks any more
	}
}

// Connected says why there is no connection, or what was refused on it.
func (l *link) Connected() error {
	l.mu.Lock()
	cause, denied := l.cause, l.denied
	l.mu.Unlock()
	if l.nc.IsConnected() {
		if denied != nil {
			return fmt.Errorf("%w: %w", ErrRefused, denied)
		}
		return nil
	}
	if last := l.nc.LastError(); last != nil {
		cause = last
	}
	switch {
	case cause == nil:
		return ErrAway
	case unauthorized(cause):
		return fmt.Errorf("%w: %w", ErrRefused, cause)
	}
	return fmt.Errorf("%w: %w", ErrAway, cause)
}

func unauthorized(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired)
}

// await returns when there is a connection, or where and why there is none when ctx ends.
func (l *link) await(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !l.nc.IsConnected() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for nats at %q: %w: %w", l.url, l.Connected(), ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// guard returns a context for one exchange on a subject: it ends with ErrAway when the
// connection is lost or the answer takes too long, and with ErrRefused when the server
// does not allow the subject.
func (l *link) guard(ctx context.Context, subject string, within time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ctx, stop := context.WithTimeoutCause(ctx, within, l.late(within))
	w := &wait{subject, cancel}
	l.mu.Lock()
	l.waiting[w] = struct{}{}
	l.mu.Unlock()
	return ctx, func() {
		l.mu.Lock()
		delete(l.waiting, w)
		l.mu.Unlock()
		stop()
		cancel(nil)
	}
}

// late is that no answer came in time, and what is known already of why it will not.
func (l *link) late(within time.Duration) error {
	err := fmt.Errorf("%w: no answer within %s", ErrAway, within)
	if l.ready == nil {
		return err
	}
	if why := l.ready(); why != nil {
		return fmt.Errorf("%w: %w", err, why)
	}
	return err
}

// publish returns when JetStream has acknowledged the message, or with one of the five
// errors of publishing.
func (l *link) publish(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if len(m.Subject) > maxSubject {
		return nil, fmt.Errorf("%w: subject %q is %d bytes long", ErrInvalid, clip(m.Subject), len(m.Subject))
	}
	if !l.nc.IsConnected() {
		return nil, l.Connected()
	}
	ctx, done := l.guard(ctx, m.Subject, ackWait)
	defer done()
	ack, err := l.js.PublishMsg(ctx, m, opts...)
	if err != nil {
		return nil, classify(ctx, err)
	}
	return ack, nil
}

// request sends a message to whoever serves the subject.
func (l *link) request(ctx context.Context, subject string, data []byte, within time.Duration) (*nats.Msg, error) {
	if !l.nc.IsConnected() {
		return nil, l.Connected()
	}
	ctx, done := l.guard(ctx, subject, within)
	defer done()
	m, err := l.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, classify(ctx, err)
	}
	return m, nil
}

// guarded calls what handles one message; after a panic it calls each of after. What a message
// brings to light comes again with the next one, and would end the program each time.
func (l *link) guarded(m *nats.Msg, handle func(), after ...func()) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("handling a message panicked", zap.String("subject", clip(m.Subject)), zap.String("reason", string(gopprof.ReasonInternal)),
				zap.Any("error", p), zap.ByteString("stack", debug.Stack()))
			for _, end := range after {
				end()
			}
		}
	}()
	handle()
}

// Close lets handlers and what is on its way finish, as long as ctx allows.
func (l *link) Close(ctx context.Context) error {
	if err := l.nc.Drain(); err != nil {
		l.nc.Close()
	}
	select {
	case <-l.closed:
		return nil
	case <-ctx.Done():
		l.nc.Close()
		return fmt.Errorf("closing nats connection: %w", ctx.Err())
	}
}
