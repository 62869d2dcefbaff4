package heapster

import (
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// Config says where Heapster's series are and how they are asked for.
type Config struct {
	// URL of InfluxDB 1.x, "https://influxdb.kube-system:8086". Default empty: no series are
	// asked, and every capture says series_off. With http, user name and password cross the
	// network in clear.
	URL string `yaml:"url"`
	// Database that Heapster writes to. Default k8s.
	Database string `yaml:"database"`
	// RetentionPolicy that Heapster writes to. Default "default", which is the literal name
	// that Heapster gives it; empty is the database's own default policy.
	RetentionPolicy string `yaml:"retention_policy"`
	// ClusterName restricts the answer to points with this cluster_name. Default empty: any.
	// Set it when several clusters share a database and may have nodes of one name.
	ClusterName string `yaml:"cluster_name"`
	// Username for InfluxDB; it needs READ on the database. Default empty: no authentication.
	Username string `yaml:"username"`
	// PasswordFile holds the user's password; it is read at each query, so that a rotated one
	// is seen. Default empty: an empty password.
	PasswordFile config.SecretFile `yaml:"password_file"`
	// CAFile is a PEM file of the authorities that may sign InfluxDB's certificate, read at
	// start. Default empty: the system's.
	CAFile string `yaml:"ca_file"`
	// Timeout of one query, from dialling to the last byte of the answer. Default 5s.
	Timeout time.Duration `yaml:"timeout"`
	// Resolution of the series: Heapster's --metric-resolution, the length of the interval
	// that ends at each stamp. Default 1m. Set it when Heapster was told otherwise, or
	// averages of one length would be taken for another.
	Resolution time.Duration `yaml:"resolution"`
	// Jitter is the most by which each query is put off, at random, so that the agents of a
	// cluster that gets hot as one do not ask as one. Default 2s; 0 asks at once.
	Jitter time.Duration `yaml:"jitter"`
	// MaxRows is the largest answer understood, in rows; a node has four for each container
	// and minute asked for, and up to 15 minutes are asked for when a rule fires. A larger one
	// is refused as a whole, and what is needed to compare the witnesses asked for alone for
	// six hours. Default 50000.
	MaxRows int `yaml:"max_rows"`
	// MaxAnswerBytes is the largest answer read, decompressed. Default 4 MiB, of which the
	// answer for 250 containers and 15 minutes is three eighths. While it is decoded a genuine
	// answer takes about ten times its size in memory.
	MaxAnswerBytes int64 `yaml:"max_answer_bytes"`
}

// DefaultConfig returns the defaults: the series are off.
func DefaultConfig() Config {
	return Config{
		Database:        "k8s",
		RetentionPolicy: "default",
		Timeout:         5 * time.Second,
		Resolution:      time.Minute,
		Jitter:          2 * time.Second,
		MaxRows:         50_000,
		MaxAnswerBytes:  4 << 20,
	}
}

// Enabled tells whether there is a server to ask.
func (c Config) Enabled() bool { return c.URL != "" }

// Check reports every mistake. Where the series are off, only values that no setting of url
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
	between(report, "jitter", c.Jitter, 0, time.Minute)
	if c.MaxRows < 1 {
		report("max_rows", "must be at least 1")
	}
	if c.MaxAnswerBytes < 1<<10 || c.MaxAnswerBytes > 64<<20 {
		report("max_answer_bytes", "must lie between 1024 and 67108864 (64 MiB)")
	}
}

func between(report func(key, problem string), key string, d, least, most time.Duration) {
	if d < least || d > most {
		report(key, "must lie between "+least.String()+" and "+most.String())
	}
}
