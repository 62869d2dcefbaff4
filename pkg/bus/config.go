package bus

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/config"
)

// Config says how to reach NATS and who we are there.
type Config struct {
	// Address of the NATS server, or several of one cluster separated by commas:
	// "tls://nats.example:4222". Beyond the machine itself it must be tls://. Default:
	// none; the aggregator then uses the server that it embeds, an agent needs one.
	URL string `yaml:"url"`
	// File with the nkey seed ("SU…") that proves who we are; make one with
	// `aggregator --new-key`. Default: none.
	NKeyFile config.SecretFile `yaml:"nkey_file"`
	// File with NATS credentials (JWT and seed, as nsc writes them), for servers that run
	// in operator mode. Default: none.
	CredentialsFile config.SecretFile `yaml:"credentials_file"`
	// File with a token, read at each connection: in Kubernetes the agent's projected
	// service-account token, for the embedded server; or one for a server with an
	// authentication call-out. Default: none.
	TokenFile config.SecretFile `yaml:"token_file"`
	// File with the certificates (PEM) that the server's must be signed by, read at each
	// connection. Default: none, the machine's own.
	CAFile string `yaml:"ca_file"`
	// How long one attempt to connect may take. Default 5s.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// Longest pause between two attempts to connect; the first are shorter. Raise it for
	// thousands of agents. Default 10s.
	ReconnectWait time.Duration `yaml:"reconnect_wait"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{ConnectTimeout: 5 * time.Second, ReconnectWait: 10 * time.Second}
}

// Check reports every mistake.
func (c Config) Check(report func(key, problem string)) {
	for u := range strings.SplitSeq(c.URL, ",") {
		if u = strings.TrimSpace(u); u != "" {
			checkURL(u, func(problem string) { report("url", problem) })
		}
	}
	if c.ways() > 1 {
		report("nkey_file", "only one of nkey_file, credentials_file and token_file may be given")
	}
	if c.ConnectTimeout <= 0 {
		report("connect_timeout", "must be more than 0")
	}
	if c.ReconnectWait < 100*time.Millisecond {
		report("reconnect_wait", "must be 100ms or more")
	}
}

// ways counts the ways in which we would prove who we are.
func (c Config) ways() int {
	n := 0
	for _, f := range []config.SecretFile{c.NKeyFile, c.CredentialsFile, c.TokenFile} {
		if f != "" {
			n++
		}
	}
	return n
}

func checkURL(s string, report func(problem string)) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		report("must be an address such as tls://nats.example:4222")
	case u.User != nil:
		report("must hold no user or password: use nkey_file, credentials_file or token_file")
	case u.Scheme != "nats" && u.Scheme != "tls":
		report(fmt.Sprintf("scheme %q: must be tls, or nats on this machine", u.Scheme))
	case u.Scheme == "nats" && !Loopback(u.Hostname()):
		report(fmt.Sprintf("%q is another machine: must be tls://", u.Hostname()))
	}
}

// Loopback tells whether a host is this machine for certain: a loopback address or the
// name localhost.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
