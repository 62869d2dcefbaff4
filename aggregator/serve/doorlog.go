package serve

import (
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// handshakeEvery is how often a line tells of connections that came to no request. Strangers
// make them at will, and so do those who only look whether a port is open.
const handshakeEvery = time.Minute

// doorLog is the log for what net/http has to say.
func doorLog(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core { return doorCore{c, &handshakes{}} }))
}

// doorCore leaves out most of the handshakes that fail.
type doorCore struct {
	zapcore.Core
	*handshakes
}

// handshakes are those that failed.
type handshakes struct {
	mu   sync.Mutex // guards what follows
	told time.Time  // when one was told of last
	more int        // how many have failed since
}

func (c doorCore) With(fields []zap.Field) zapcore.Core {
	return doorCore{c.Core.With(fields), c.handshakes}
}

func (c doorCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return to
	}
	return to.AddCore(e, c)
}

func (c doorCore) Write(e zapcore.Entry, fields []zap.Field) error {
	if strings.HasPrefix(e.Message, "http: TLS handshake error ") {
		unsaid, tell := c.tell()
		if !tell {
			return nil
		}
		fields = append(fields, zap.Int("unsaid", unsaid))
	}
	return c.Core.Write(e, fields)
}

// tell says whether one more is to be told of, and how many were not before it.
func (h *handshakes) tell() (unsaid int, tell bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if !h.told.IsZero() && now.Sub(h.told) < handshakeEvery {
		h.more++
		return 0, false
	}
	unsaid, h.told, h.more = h.more, now, 0
	return unsaid, true
}
