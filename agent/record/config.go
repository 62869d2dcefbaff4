package record

import (
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// Config says where the series are written.
type Config struct {
	// URL of InfluxDB 1.x, "https://influxdb.monitoring:8086". Default empty: nothing is
	// written. Set it where no Heapster runs and the history of the targets is wanted in its
	// schema; as a witness these series count as the local one. With http, user name and
	// password cross the network in clear.
	URL string `yaml:"url"`
	// Database to write to; it is created when it does not exist and the user may do that.
	// Default k8s.
	Database string `yaml:"database"`
	// RetentionPolicy to write to. Default "default", the literal name that Heapster gives
	// it; empty is the database's own default policy.
	RetentionPolicy string `yaml:"retention_policy"`
	// Username for InfluxDB; it needs WRITE on the database. Default empty: no
	// authentication.
	Username string `yaml:"username"`
	// PasswordFile holds the user's password; it is read at each write, so that a rotated one
	// is seen. Default empty: an empty password.
	PasswordFile config.SecretFile `yaml:"password_file"`
	// CAFile is a PEM file of the authorities that may sign InfluxDB's certificate, read at
	// start. Default empty: the system's.
	CAFile string `yaml:"ca_file"`
	// Timeout of one write, from dialling to the answer. Default 5s.
	Timeout time.Duration `yaml:"timeout"`
	// Resolution is the length of the interval that each point stands for. Default 1m, as
	// Heapster's. It must be the same as the resolution with which the series are read.
	Resolution time.Duration `yaml:"resolution"`
	// MaxBatches is how many intervals wait for an InfluxDB that is slow; the oldest is
	// dropped first. Default 5.
	MaxBatches int `yaml:"max_batches"`
}

// DefaultConfig returns the defaults: nothing is written.
func DefaultConfig() Config {
	return Config{
		Database:        "k8s",
		RetentionPolicy: "default",
		Timeout:         5 * time.Second,
		Resolution:      time.Minute,
		MaxBatches:      5,
	}
}

// Enabled tells whether there is a server to write to.
func (c Config) Enabled() bool { return c.URL != "" }

// Check reports every mistake. Where recording is off, only values that no setting of url
// would make right are mistakes.
func (c Config) Check(report func(key, problem string)) {
	if problem := heapster.CheckURL(c.URL); c.Enabled() && problem != "" {
		report("url", problem)
	}
	if c.Database == "" {
		report("database", "must not be empty")
	}
	if c.PasswordFile != "" && c.Username == "" {
		report("password_file", "is of no use without username")
	}
	if c.CAFile != "" && c.Enabled() && !strings.HasPrefix(c.URL, "https://") {
		report("ca_file", "is of no use without https in url")
	}
	between(report, "timeout", c.Timeout, 100*time.Millisecond, time.Minute)
	between(report, "resolution", c.Resolution, time.Second, time.Hour)
	if c.MaxBatches < 1 || c.MaxBatches > 1000 {
		report("max_batches", "must lie between 1 and 1000")
	}
}

func between(report func(key, problem string), key string, d, least, most time.Duration) {
	if d < least || d > most {
		report(key, "must lie between "+least.String()+" and "+most.String())
	}
}
