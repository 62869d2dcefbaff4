package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// linesPerSecond bounds what the server logs of one level: a client that is refused again
// and again must not fill the disk.
const linesPerSecond = 20

// recorder hands the server's log on and remembers what was fatal, and why it switched
// JetStream off: the server itself only logs it.
type recorder struct {
	log *zap.Logger

	mu   sync.Mutex // guards the fields below
	last string     // that was fatal
	off  string     // why there is no JetStream any more
}

func newRecorder(log *zap.Logger) *recorder {
	sampled := zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(c, time.Second, linesPerSecond, 0)
	})
	return &recorder{log: log.WithOptions(sampled)}
}

// The text is a field, since the sampler counts lines by their message.

func (r *recorder) Tracef(string, ...any) {}

func (r *recorder) Debugf(format string, v ...any) { r.log.Debug("nats said", text(format, v)) }

func (r *recorder) Noticef(format string, v ...any) { r.log.Debug("nats noted", text(format, v)) }

func (r *recorder) Warnf(format string, v ...any) {
	r.note(format, v)
	r.log.Warn("nats warned", text(format, v))
}

func (r *recorder) Errorf(format string, v ...any) {
	r.note(format, v)
	r.log.Error("nats reported an error", text(format, v))
}

// note remembers why JetStream was switched off: the lines that say so are warnings or
// errors, with "disabling JetStream" or "will be DISABLED" in them.
func (r *recorder) note(format string, v []any) {
	if !strings.Contains(format, "disabling JetStream") && !strings.Contains(format, "will be DISABLED") {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.off = fmt.Sprintf(format, v...)
}

// Fatalf does not end the process: Start returns the text as its error.
func (r *recorder) Fatalf(format string, v ...any) {
	r.mu.Lock()
	r.last = fmt.Sprintf(format, v...)
	r.mu.Unlock()
	r.log.Error("nats failed", text(format, v))
}

func text(format string, v []any) zap.Field { return zap.String("detail", fmt.Sprintf(format, v...)) }

// fatal is the last thing that was fatal.
func (r *recorder) fatal() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.New(cmp.Or(r.last, noReason))
}

// switchedOff is why there is no JetStream any more.
func (r *recorder) switchedOff() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Errorf("it has switched jetstream off: %s", cmp.Or(r.off, r.last, noReason))
}

const noReason = "no reason given"
