package store

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config says where reports are kept, for how long, and how many are held in memory.
type Config struct {
	// URL is where blobs are kept: file:///directory (created when missing),
	// s3://bucket?region=…, gs://bucket, azblob://container, or mem:// (lost at exit, for
	// trials). Parameters are those of gocloud.dev/blob; an S3 server of your own needs
	// endpoint=https://…&use_path_style=true&region=us-east-1, and must honour conditional
	// writes (If-None-Match), which is tried at start. Never put a password here:
	// S3 takes credentials as the AWS SDK finds them (environment, web identity, instance)
	// or from credentials_file, gs from GOOGLE_APPLICATION_CREDENTIALS or the instance,
	// azblob from AZURE_STORAGE_ACCOUNT and its companions.
	URL string `yaml:"url"`
	// Prefix is a folder in the bucket, such as "gopprof"; everything is kept below it and
	// nothing outside it is read or deleted. Set it where the bucket holds anything else:
	// foreign files are left alone, but every folder at the top is looked into. Empty is the
	// bucket's top.
	Prefix string `yaml:"prefix"`
	// CredentialsFile holds access key and secret of an S3 URL, as AWS tools write it:
	// a line [default], then aws_access_key_id = … and aws_secret_access_key = …. The URL's
	// parameter profile names another section. It is read again every few minutes. Empty
	// leaves credentials to the AWS SDK.
	CredentialsFile string `yaml:"credentials_file"`
	// MaxAge is how long a report is kept, counted from the moment its capture was decided, or
	// stored where its agent's clock is ahead; 0 keeps reports for ever.
	MaxAge time.Duration `yaml:"max_age"`
	// MaxBytes bounds what reports hold, all their files together: above it the oldest are
	// deleted; 0 is no bound. It is kept at each sweep, so leave room for what arrives
	// between two, and for what is left over of captures that became no report: that goes when
	// it is a day old.
	MaxBytes int64 `yaml:"max_bytes"`
	// Sweep says whether this aggregator deletes what max_age and max_bytes do not allow,
	// and what was left over, for a day, of captures that never became a report. With
	// several aggregators on one store it is enough that one does; it does no harm when all
	// do.
	Sweep bool `yaml:"sweep"`
	// SweepInterval is how often the whole store is listed to that end, and to find what
	// other aggregators deleted.
	SweepInterval time.Duration `yaml:"sweep_interval"`
	// IndexReports is how many of the newest reports are held in memory, to be listed
	// without reading the store: what a list shows of each, some 1 KB. Older ones are read from
	// the store.
	IndexReports int `yaml:"index_reports"`
	// RefreshInterval is how often the newest days are listed to find reports that another
	// aggregator stored.
	RefreshInterval time.Duration `yaml:"refresh_interval"`
}

// DefaultConfig returns the configuration of an aggregator that was told nothing: files
// in /var/lib/gopprof/reports, for 30 days, 20 GiB at most.
func DefaultConfig() Config {
	return Config{
		URL:             "file:///var/lib/gopprof/reports",
		MaxAge:          30 * 24 * time.Hour,
		MaxBytes:        20 << 30,
		Sweep:           true,
		SweepInterval:   time.Hour,
		IndexReports:    1000,
		RefreshInterval: time.Minute,
	}
}

var schemes = []string{"file", "mem", "s3", "gs", "azblob"}

// Check reports every setting that makes no sense.
func (c Config) Check(report func(key, problem string)) {
	c.checkURL(report)
	if err := checkPrefix(c.Prefix); err != nil {
		report("prefix", err.Error())
	}
	notNegative(report, "max_age", c.MaxAge)
	notNegative(report, "max_bytes", c.MaxBytes)
	if c.SweepInterval < time.Second {
		report("sweep_interval", "must be a second or more: a sweep lists the whole store")
	}
	if c.RefreshInterval < time.Second {
		report("refresh_interval", "must be a second or more")
	}
	if c.IndexReports < 1 || c.IndexReports > 100_000 {
		report("index_reports", "must be from 1 to 100000")
	}
}

func (c Config) checkURL(report func(key, problem string)) {
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		report("url", "is missing: where shall reports be kept? file:///directory is the simplest")
		return
	case err != nil:
		// url.Parse's error would repeat the whole URL.
		report("url", "is not a URL")
		return
	case !slices.Contains(schemes, u.Scheme):
		report("url", fmt.Sprintf("scheme %q is not one of %s", u.Scheme, strings.Join(schemes, ", ")))
		return
	case u.User != nil:
		report("url", "must hold no user and password: use credentials_file or the environment")
	case u.Scheme == "file" && u.Path == "":
		report("url", "file URL names no directory: file:///var/lib/gopprof/reports")
	case u.Scheme == "file" && u.Host != "" && u.Host != "." && u.Host != "localhost":
		report("url", "file URL names a host: write file:/// and the absolute path")
	case u.Scheme != "file" && u.Scheme != "mem" && u.Host == "":
		report("url", "names no bucket")
	}
	if c.CredentialsFile != "" && u.Scheme != "s3" {
		report("credentials_file", "is for s3:// only")
	}
}

// plainFolder is what no backend has to escape.
var plainFolder = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?$`)

func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	for part := range strings.SplitSeq(strings.Trim(prefix, "/"), "/") {
		if !plainFolder.MatchString(part) || strings.Contains(part, "__") {
			return fmt.Errorf("folder %q: letters and digits, with '-', '_' and '.' between, are safe in every store", part)
		}
	}
	return nil
}

func notNegative[T int64 | time.Duration](report func(key, problem string), key string, v T) {
	if v < 0 {
		report(key, "must not be negative")
	}
}
