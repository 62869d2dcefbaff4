package embedded

import (
	"fmt"
	"net"
	"strconv"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/selfca"
)

// Config says where the embedded server listens, what it keeps and whom it knows.
type Config struct {
	// Address at which agents connect. Beyond loopback a certificate is needed:
	// cert_file and key_file, or own_ca.
	// Default 127.0.0.1:4222; port 0 takes any free one.
	Listen string `yaml:"listen"`
	// Directory of the streams. It needs a disk that survives a restart, and room for
	// store_bytes. Default /var/lib/gopprof/nats.
	Dir string `yaml:"dir"`
	// Certificate (PEM) that agents see. Read again when it changes. Default: none.
	CertFile string `yaml:"cert_file"`
	// Key (PEM) of cert_file. Default: none.
	KeyFile string `yaml:"key_file"`
	// Certificates of the server's own making; cert_file goes before them.
	OwnCA selfca.Config `yaml:"own_ca"`
	// Most bytes of all streams together; the sum of the bounds under `streams` must fit.
	// Default 4 GiB.
	StoreBytes int64 `yaml:"store_bytes"`
	// Most connections at once: one for each node and consumer, and room for those that come
	// back before the server knows that they were lost. Whoever reaches the port counts, for as
	// long as he may take to say who he is (10 s), and takes 14 KB or more. Default 8192.
	ConnectionsMax int `yaml:"connections_max"`
	// Agents that may connect, each with its node. Default: none.
	Agents []AgentUser `yaml:"agents"`
	// File with more agents, in the form "agents: [{cluster: …, node: …, nkey: …}]". Read
	// again when it changes. Default: none.
	AgentsFile string `yaml:"agents_file"`
	// Downstream consumers that may read reports. Default: none.
	Consumers []ConsumerUser `yaml:"consumers"`
}

// AgentUser is the agent of one node.
type AgentUser struct {
	// Cluster of the node, as in the agent's configuration.
	Cluster string `yaml:"cluster"`
	// Name of the node, as in the agent's configuration.
	Node string `yaml:"node"`
	// Public nkey ("U…") of the agent, as `aggregator --new-key` prints it.
	NKey string `yaml:"nkey"`
}

// ConsumerUser is a downstream consumer of reports.
type ConsumerUser struct {
	// Name of the consumer: letters, digits, "-" and "_". Its durable consumer is named
	// reader-NAME, its inbox prefix _INBOX.consumer.NAME.
	Name string `yaml:"name"`
	// Public nkey ("U…") of the consumer, as `aggregator --new-key` prints it.
	NKey string `yaml:"nkey"`
	// Namespaces whose reports it may read. Default: all.
	Namespaces []string `yaml:"namespaces"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:4222", Dir: "/var/lib/gopprof/nats", StoreBytes: 4 << 30, ConnectionsMax: 8192, OwnCA: selfca.DefaultConfig()}
}

// Check reports every mistake.
func (c Config) Check(report func(key, problem string)) {
	c.checkListen(report)
	if c.Dir == "" {
		report("dir", "must be a directory")
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		report("cert_file", "cert_file and key_file must be given together")
	}
	if c.ConnectionsMax < 2 {
		report("connections_max", "must be 2 or more: one is the aggregator's own")
	}
	if c.StoreBytes < 64<<20 {
		report("store_bytes", "must be 67108864 (64 MiB) or more")
	}
	Users{c.Agents, c.Consumers}.check(report)
}

func (c Config) checkListen(report func(key, problem string)) {
	host, _, err := c.address()
	switch {
	case err != nil:
		report("listen", err.Error())
	case c.CertFile == "" && !c.OwnCA.Enabled && !bus.Loopback(host):
		report("listen", fmt.Sprintf("%q is reached from other machines: cert_file and key_file are needed, or own_ca", c.Listen))
	}
}

// ownCA tells whether the server makes its own certificate.
func (c Config) ownCA() bool { return c.OwnCA.Enabled && c.CertFile == "" }

// address splits Listen.
func (c Config) address() (host string, port int, err error) {
	host, p, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", 0, fmt.Errorf("must be host:port: %w", err)
	}
	port, err = strconv.Atoi(p)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("port %q: must be a number up to 65535", p)
	}
	return host, port, nil
}
