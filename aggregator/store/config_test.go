package store

import (
	"testing"
	"time"
)

func TestConfigDefaultHasNoMistake(t *testing.T) {
	DefaultConfig().Check(func(key, problem string) { t.Errorf("%s: %s", key, problem) })
}

func TestConfigCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		key    string // "" when it is right
	}{
		"no URL":               {func(c *Config) { c.URL = "" }, "url"},
		"not a URL":            {func(c *Config) { c.URL = "://" }, "url"},
		"unknown scheme":       {func(c *Config) { c.URL = "ftp://host/dir" }, "url"},
		"a path":               {func(c *Config) { c.URL = "/var/lib/gopprof" }, "url"},
		"file of a host":       {func(c *Config) { c.URL = "file://var/lib/gopprof" }, "url"},
		"file of nothing":      {func(c *Config) { c.URL = "file://" }, "url"},
		"file":                 {func(c *Config) { c.URL = "file:///data" }, ""},
		"relative file":        {func(c *Config) { c.URL = "file://./data" }, ""},
		"memory":               {func(c *Config) { c.URL = "mem://" }, ""},
		"S3":                   {func(c *Config) { c.URL = "s3://bucket?region=eu-west-1" }, ""},
		"S3 without bucket":    {func(c *Config) { c.URL = "s3://?region=eu-west-1" }, "url"},
		"a password":           {func(c *Config) { c.URL = "s3://key:secret@bucket" }, "url"},
		"credentials for S3":   {func(c *Config) { c.URL, c.CredentialsFile = "s3://bucket", "/secret" }, ""},
		"credentials for gs":   {func(c *Config) { c.URL, c.CredentialsFile = "gs://bucket", "/secret" }, "credentials_file"},
		"prefix":               {func(c *Config) { c.Prefix = "team_a/gopprof.v1/" }, ""},
		"prefix that leaves":   {func(c *Config) { c.Prefix = "a/../b" }, "prefix"},
		"prefix of nothing":    {func(c *Config) { c.Prefix = "a//b" }, "prefix"},
		"hidden prefix":        {func(c *Config) { c.Prefix = ".tmp" }, "prefix"},
		"prefix gocloud reads": {func(c *Config) { c.Prefix = "a__0x2f__b" }, "prefix"},
		"slash as prefix":      {func(c *Config) { c.Prefix = "/" }, "prefix"},
		"negative age":         {func(c *Config) { c.MaxAge = -1 }, "max_age"},
		"for ever":             {func(c *Config) { c.MaxAge, c.MaxBytes = 0, 0 }, ""},
		"negative bytes":       {func(c *Config) { c.MaxBytes = -1 }, "max_bytes"},
		"sweeping all day":     {func(c *Config) { c.SweepInterval = time.Millisecond }, "sweep_interval"},
		"refreshing all day":   {func(c *Config) { c.RefreshInterval = 0 }, "refresh_interval"},
		"no index":             {func(c *Config) { c.IndexReports = 0 }, "index_reports"},
		"too large an index":   {func(c *Config) { c.IndexReports = 1e6 }, "index_reports"},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		var keys []string
		cfg.Check(func(key, problem string) { keys = append(keys, key) })
		if c.key == "" && len(keys) > 0 || c.key != "" && (len(keys) != 1 || keys[0] != c.key) {
			t.Errorf("%s: mistakes in %v, want %q", name, keys, c.key)
		}
	}
}
