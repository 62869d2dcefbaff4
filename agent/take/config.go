package take

import (
	"time"

	"github.com/gopprof/gopprof/pkg/profile"
)

// Config bounds what taking profiles may cost the target and the node.
type Config struct {
	// DefaultCPUSeconds is the length of a CPU profile when the order names none. Default
	// 30s. pprof counts in whole seconds: a fraction is rounded up.
	DefaultCPUSeconds time.Duration `yaml:"default_cpu_seconds"`
	// MaxSeconds is the longest CPU profile or trace that anybody may ask for; a longer
	// one is refused. Default 60s.
	MaxSeconds time.Duration `yaml:"max_seconds"`
	// MaxAtOnce is how many targets of this node are profiled at once; further ones wait
	// their turn. Default 2. A CPU profile costs its process a few percent.
	MaxAtOnce int `yaml:"max_at_once"`
	// Patience is how long a capture whose order names no deadline waits for its turn on
	// the node and for the target's CPU profiler while somebody else holds it. Default 1m.
	Patience time.Duration `yaml:"patience"`
	// ContendedRetry is the mean time between two attempts at a CPU profiler that somebody
	// else holds. Default 2s.
	ContendedRetry time.Duration `yaml:"contended_retry"`
	// ConnectTimeout bounds connecting, TLS included. Default 5s.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// Timeout bounds one profile from request to last byte, on top of connect_timeout and of the
	// seconds of a timed kind. Default 20s. Raise it for processes whose heap profile takes long.
	// A target that answers nothing holds its place among max_at_once as long, and is not asked
	// for another kind then: with the default CPU profile 55s, less than patience. One that
	// answers late lets others who wait have their turn before its next kind.
	Timeout time.Duration `yaml:"timeout"`
	// MaxBytes bounds one profile as it comes, compressed. Default 16 MiB. The aggregator
	// has bounds of its own: raising one alone gains nothing.
	MaxBytes int64 `yaml:"max_bytes"`
	// MaxCaptureBytes bounds all profiles of one capture together, as they come: they are in
	// memory until the capture is in the spool. Default 20 MiB. Kinds that find no room any
	// more are missing from the capture, which says so. As much may be in memory of all captures
	// together that wait for others between two kinds: one that finds no room goes without the rest.
	// And while more than that waits for a slow disk, the next captures wait for their turn.
	MaxCaptureBytes int64 `yaml:"max_capture_bytes"`
	// MaxDecompressedBytes bounds one profile unpacked, and a trace. Default 32 MiB.
	MaxDecompressedBytes int64 `yaml:"max_decompressed_bytes"`
	// TLS is for targets whose scheme is https.
	TLS TLSConfig `yaml:"tls"`
}

// TLSConfig says how the certificate of an https target is checked.
type TLSConfig struct {
	// CAFile holds the certificates (PEM) that sign the targets' certificates. Default
	// empty: the machine's own. It is read for each profile, so it may be renewed in place.
	CAFile string `yaml:"ca_file"`
	// ServerName is the name that certificates must bear. Default empty: the address that
	// is dialled, which for pods is an IP address that few certificates bear.
	ServerName string `yaml:"server_name"`
	// InsecureSkipVerify takes any certificate. Default false. For pods that sign their
	// own: whoever can answer on the pod's address can then send profiles in its name.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
}

// DefaultConfig returns the bounds of an agent that was told nothing.
func DefaultConfig() Config {
	return Config{
		DefaultCPUSeconds: 30 * time.Second, MaxSeconds: time.Minute, MaxAtOnce: 2,
		Patience: time.Minute, ContendedRetry: 2 * time.Second,
		ConnectTimeout: 5 * time.Second, Timeout: 20 * time.Second,
		MaxBytes: 16 << 20, MaxCaptureBytes: 20 << 20, MaxDecompressedBytes: 32 << 20,
	}
}

// limits returns what a profile may cost its reader.
func (c Config) limits() profile.Limits {
	lim := profile.DefaultLimits()
	lim.CompressedBytes, lim.DecompressedBytes = c.MaxBytes, c.MaxDecompressedBytes
	return lim
}

// Check reports every mistake.
func (c Config) Check(report func(key, problem string)) {
	positive := func(key string, ok bool) {
		if !ok {
			report(key, "must be above 0")
		}
	}
	positive("max_at_once", c.MaxAtOnce > 0)
	positive("patience", c.Patience > 0)
	positive("contended_retry", c.ContendedRetry > 0)
	positive("connect_timeout", c.ConnectTimeout > 0)
	positive("timeout", c.Timeout > 0)
	positive("max_bytes", c.MaxBytes > 0)
	positive("max_decompressed_bytes", c.MaxDecompressedBytes > 0)
	if c.MaxCaptureBytes < c.MaxBytes {
		report("max_capture_bytes", "is less than max_bytes: one profile must fit into a capture")
	}
	if c.DefaultCPUSeconds < time.Second {
		report("default_cpu_seconds", "must be at least 1s, the shortest CPU profile that pprof takes")
	}
	if c.MaxSeconds < time.Second {
		report("max_seconds", "must be at least 1s, the shortest CPU profile that pprof takes")
	} else if c.MaxSeconds < c.DefaultCPUSeconds {
		report("max_seconds", "is shorter than default_cpu_seconds")
	}
}

// Check reports every mistake.
func (c TLSConfig) Check(report func(key, problem string)) {
	if c.InsecureSkipVerify && c.CAFile != "" {
		report("insecure_skip_verify", "takes any certificate, so ca_file would have no effect: drop one of them")
	}
	if c.CAFile != "" {
		if _, err := readCAs(c.CAFile); err != nil {
			report("ca_file", err.Error())
		}
	}
}
