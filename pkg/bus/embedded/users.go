package embedded

import (
	"fmt"
	"os"
	"slices"

	"github.com/nats-io/nkeys"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/config"
)

// Users is everybody the server knows beside the aggregator.
type Users struct {
	Agents    []AgentUser
	Consumers []ConsumerUser
}

// maxAgentsFile bounds the agents file: 20,000 nodes fit.
const maxAgentsFile = 4 << 20

// load returns the users of the configuration and of the agents file.
func (c Config) load() (Users, error) {
	u := Users{slices.Clone(c.Agents), slices.Clone(c.Consumers)}
	if c.AgentsFile == "" {
		return u, nil
	}
	data, err := readBounded(c.AgentsFile)
	if err != nil {
		return Users{}, fmt.Errorf("reading agents file: %w", err)
	}
	var file struct {
		Agents []AgentUser `yaml:"agents"`
	}
	if err := config.Parse(c.AgentsFile, data, &file); err != nil {
		return Users{}, fmt.Errorf("reading agents file: %w", err)
	}
	u.Agents = append(u.Agents, file.Agents...)
	var first error
	u.check(func(key, problem string) {
		if first == nil {
			first = fmt.Errorf("reading agents file %q: %s: %s", c.AgentsFile, key, problem)
		}
	})
	return u, first
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxAgentsFile {
		return nil, fmt.Errorf("%q: no regular file of at most %d bytes", path, maxAgentsFile)
	}
	return os.ReadFile(path)
}

// check reports users without a name or key, and keys and names that are used twice.
func (u Users) check(report func(key, problem string)) {
	keys, names := map[string]bool{}, map[string]bool{}
	one := func(list, name, key string) {
		switch {
		case !nkeys.IsValidPublicUserKey(key):
			report(list, fmt.Sprintf("%q: nkey must be a public user key (\"U…\")", name))
		case keys[key]:
			report(list, fmt.Sprintf("%q: nkey is another user's already", name))
		}
		keys[key] = true
	}
	for _, a := range u.Agents {
		if a.Node == "" {
			report("agents", "node must be given")
		}
		one("agents", a.Node, a.NKey)
	}
	for _, c := range u.Consumers {
		if c.Name == "" || c.Name != bus.Token(c.Name) || names[c.Name] {
			report("consumers", fmt.Sprintf("name %q: must be letters, digits, \"-\" and \"_\", and no other's", c.Name))
		}
		names[c.Name] = true
		one("consumers", c.Name, c.NKey)
	}
}
