package embedded

import (
	"fmt"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/gopprof/gopprof/pkg/bus"
)

// The accounts. A subject means something inside of its account only: agents and readers
// live in accounts of their own, into which exactly the subjects of the protocol are let.
// Permissions alone would not do: whoever may publish anything may name any subject as
// the one for the answer, and JetStream answers there with rights of its own.
const (
	accountMain    = "$G" // JetStream and the aggregator
	accountAgents  = "AGENTS"
	accountReaders = "READERS"
)

// wireAccounts makes the accounts and what passes between them.
func wireAccounts(s *server.Server) (map[string]*server.Account, error) {
	main := s.GlobalAccount()
	agents, _ := s.LookupOrRegisterAccount(accountAgents)
	readers, _ := s.LookupOrRegisterAccount(accountReaders)
	for _, p := range bus.Passages() {
		from, to := main, agents
		switch p.Users {
		case bus.UsersReaders:
			to = readers
		case bus.UsersAgents:
			if p.Served {
				from, to = agents, main
			}
		}
		if err := passage(from, to, p); err != nil {
			return nil, err
		}
	}
	return map[string]*server.Account{accountMain: main, accountAgents: agents, accountReaders: readers}, nil
}

// passage lets one account use a subject that another one serves.
func passage(serves, uses *server.Account, p bus.Passage) error {
	kind := server.Singleton
	if p.Stream {
		kind = server.Streamed
	}
	if err := serves.AddServiceExportWithResponse(p.Subject, kind, []*server.Account{uses}); err != nil {
		return fmt.Errorf("exporting %q: %w", p.Subject, err)
	}
	local := p.As
	if local == "" {
		local = p.Subject
	}
	if err := uses.AddServiceImport(serves, local, p.Subject); err != nil {
		return fmt.Errorf("importing %q: %w", p.Subject, err)
	}
	return nil
}
