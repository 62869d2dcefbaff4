package selfca

import (
	"fmt"
	"net"
	"regexp"
)

// Config says under which names one serves.
type Config struct {
	// Make certificates by oneself where no certificate file is given: an authority of ten
	// years and a serving certificate of 90 days, both renewed without a restart. Default
	// false.
	Enabled bool `yaml:"enabled"`
	// Directory of authority and certificate, with their keys. It needs a disk that survives
	// a restart: clients trust what is in it. Default /var/lib/gopprof/ca.
	Dir string `yaml:"dir"`
	// Names and IP addresses under which clients reach the server, such as
	// gopprof-aggregator.gopprof.svc. The certificate is made anew when they change.
	// Default localhost and 127.0.0.1.
	Names []string `yaml:"names"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Dir: "/var/lib/gopprof/ca", Names: []string{"localhost", "127.0.0.1"}}
}

var dnsName = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// Check reports every mistake.
func (c Config) Check(report func(key, problem string)) {
	if !c.Enabled {
		return
	}
	if c.Dir == "" {
		report("dir", "must be a directory")
	}
	if len(c.Names) == 0 {
		report("names", "must hold the names under which clients reach the server")
	}
	for i, n := range c.Names {
		if net.ParseIP(n) == nil && (len(n) > 253 || !dnsName.MatchString(n)) {
			report(fmt.Sprintf("names[%d]", i), fmt.Sprintf("%q: must be a DNS name or an IP address", n))
		}
	}
}

// split parts names from addresses.
func (c Config) split() (dns []string, ips []net.IP) {
	for _, n := range c.Names {
		if ip := net.ParseIP(n); ip != nil {
			ips = append(ips, ip)
		} else {
			dns = append(dns, n)
		}
	}
	return dns, ips
}
