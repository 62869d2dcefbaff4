package bus

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// InProcess is a NATS server in the same process, with the user that the aggregator is on
// it. embedded.Server is one.
type InProcess interface {
	InProcessConn() (net.Conn, error)
	// NKey returns the public key of the aggregator's user.
	NKey() string
	// Sign proves to the server that we own that key.
	Sign(nonce []byte) ([]byte, error)
	// Ready says at once why it takes nothing.
	Ready() error
}

// options turns the configuration into nats.go's.
func (c Config) options(name, inbox string) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(name),
		nats.CustomInboxPrefix(inbox),
		nats.Timeout(c.ConnectTimeout),
		nats.CustomReconnectDelay(c.delay),
		nats.PingInterval(20 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.IgnoreDiscoveredServers(), // we speak to the configured ones only
	}
	if c.CAFile != "" {
		opts = append(opts, rootsOf(c.CAFile))
	}
	switch {
	case c.NKeyFile != "":
		o, err := nats.NkeyOptionFromSeed(string(c.NKeyFile))
		if err != nil {
			return nil, fmt.Errorf("reading nkey file %q: %w", c.NKeyFile, err)
		}
		opts = append(opts, o)
	case c.CredentialsFile != "":
		opts = append(opts, nats.UserCredentials(string(c.CredentialsFile)))
	case c.TokenFile != "":
		if _, err := c.TokenFile.Read(); err != nil {
			return nil, err
		}
		opts = append(opts, nats.TokenHandler(c.token))
	}
	return opts, nil
}

// rootsOf reads the authorities at each connection. Unlike nats.RootCAs it does not need
// the file at the start: in Kubernetes the aggregator writes it, and the kubelet brings it
// to the node a minute later.
func rootsOf(file string) nats.Option {
	return func(o *nats.Options) error {
		o.Secure = true
		if o.TLSConfig == nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.RootCAsCB = func() (*x509.CertPool, error) {
			pem, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("reading ca_file: %w", err)
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("reading ca_file: no certificate in %q", file)
			}
			return pool, nil
		}
		return nil
	}
}

// token reads the token anew: projected tokens are rotated. An unreadable one is refused
// by the server, which is seen in Connected.
func (c Config) token() string {
	t, _ := c.TokenFile.Read()
	return t
}

// delay grows with the attempts, and half of it is chance: after an outage every agent of
// every node comes back.
func (c Config) delay(attempts int) time.Duration {
	d := 100 * time.Millisecond << min(attempts, 16)
	d = min(d, c.ReconnectWait)
	return d/2 + rand.N(d/2+1)
}

func inProcessOptions(server InProcess, inbox string) []nats.Option {
	return []nats.Option{
		nats.Name("gopprof-aggregator"),
		nats.CustomInboxPrefix(inbox),
		nats.InProcessServer(server),
		nats.Timeout(10 * time.Second),
		nats.Nkey(server.NKey(), server.Sign),
		nats.CustomReconnectDelay(func(int) time.Duration { return 100 * time.Millisecond }),
	}
}
