package embedded

import (
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"
)

// recorder hands the server's log on and remembers what was fatal: the server itself only
// logs it.
type recorder struct {
	log *zap.Logger

	mu   sync.Mutex
	last string
}

func (r *recorder) Noticef(format string, v ...any) {
	r.log.Debug("nats: " + fmt.Sprintf(format, v...))
}
func (r *recorder) Debugf(format string, v ...any) { r.log.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (r *recorder) Tracef(format string, v ...any) {}
func (r *recorder) Warnf(format string, v ...any)  { r.log.Warn("nats: " + fmt.Sprintf(format, v...)) }

func (r *recorder) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	r.remember(text)
	r.log.Error("nats: " + text)
}

// Fatalf does not end the process: Start returns the text as its error.
func (r *recorder) Fatalf(format string, v ...any) { r.Errorf(format, v...) }

func (r *recorder) remember(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = text
}

func (r *recorder) fatal() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == "" {
		return errors.New("no reason given")
	}
	return errors.New(r.last)
}
