package ops

import (
	"fmt"

	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// LogConfig says what is logged and how. Logs go to the standard error.
type LogConfig struct {
	// Level is the least severe level that is logged: debug, info, warn or error.
	// Default info. Debug also shows what the libraries say.
	Level string `yaml:"level"`
	// Format is json, one object per line for a log collector, or console for a person.
	// Default json.
	Format string `yaml:"format"`
}

// DefaultLogConfig logs info and above as JSON.
func DefaultLogConfig() LogConfig { return LogConfig{Level: "info", Format: "json"} }

// Check reports an unknown level or format.
func (c LogConfig) Check(report func(key, problem string)) {
	if _, err := logLevel(c.Level); err != nil {
		report("level", err.Error())
	}
	if c.Format != "json" && c.Format != "console" {
		report("format", fmt.Sprintf("%q is neither json nor console", c.Format))
	}
}

func logLevel(name string) (zapcore.Level, error) {
	for _, l := range []zapcore.Level{zap.DebugLevel, zap.InfoLevel, zap.WarnLevel, zap.ErrorLevel} {
		if l.String() == name {
			return l, nil
		}
	}
	return zap.InfoLevel, fmt.Errorf("%q is not one of debug, info, warn, error", name)
}

// NewLogger returns a logger that writes to the standard error. Nothing is sampled: what
// is logged are transitions, and each of them counts.
func NewLogger(c LogConfig) (*zap.Logger, error) { return newLogger(c, "stderr") }

func newLogger(c LogConfig, output string) (*zap.Logger, error) {
	level, err := logLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("making the logger: level %w", err)
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.ISO8601TimeEncoder
	enc.EncodeDuration = zapcore.StringDurationEncoder
	enc.TimeKey = "time"
	log, err := zap.Config{
		Level: zap.NewAtomicLevelAt(level), Encoding: c.Format, EncoderConfig: enc,
		OutputPaths: []string{output}, ErrorOutputPaths: []string{"stderr"},
		DisableCaller: true, DisableStacktrace: true,
	}.Build()
	if err != nil {
		return nil, fmt.Errorf("making the logger: %w", err)
	}
	return log, nil
}

// BridgeKlog sends what cAdvisor and client-go say through klog to the logger. klog is
// one per process: call it once, in main.
func BridgeKlog(log *zap.Logger) {
	klog.SetLoggerWithOptions(zapr.NewLogger(log.Named("klog")), klog.ContextualLogger(true))
}
