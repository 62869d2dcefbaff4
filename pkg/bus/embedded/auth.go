package embedded

import (
	"context"
	"encoding/base64"
	"fmt"
	"reflect"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/gopprof/gopprof/pkg/bus"
)

// user is somebody the server knows: where he lives and what he may do there.
type user struct {
	Account     string
	Permissions bus.Permissions
}

// authenticator decides who may connect. It lets nobody in before open.
type authenticator struct {
	ctx    context.Context // ends with the server
	tokens Verifier        // nil: no tokens

	mu       sync.RWMutex
	accounts map[string]*server.Account // by name; nil before open
	users    map[string]user            // by public nkey
}

// Check is called by the server for each connection. The lock is held until the user is
// registered, so that replace sees every connection that was let in by the old table.
func (a *authenticator) Check(c server.ClientAuthentication) bool {
	if c.Kind() != server.CLIENT {
		return false
	}
	opts := c.GetOpts()
	if opts.Nkey == "" {
		return a.checkToken(c, opts.Token)
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	u, known := a.users[opts.Nkey]
	account := a.accounts[u.Account]
	if !known || account == nil || !signed(opts.Nkey, opts.Sig, c.GetNonce()) {
		return false
	}
	c.RegisterUser(&server.User{Username: opts.Nkey, Account: account, Permissions: permissions(u.Permissions)})
	return true
}

// signed tells whether the owner of a public key signed the nonce of this connection.
func signed(public, sig string, nonce []byte) bool {
	if len(nonce) == 0 {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil {
		return false
	}
	key, err := nkeys.FromPublicKey(public)
	return err == nil && key.Verify(nonce, raw) == nil
}

// open lets the users in.
func (a *authenticator) open(accounts map[string]*server.Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.accounts = accounts
}

// replace takes new users and returns the keys of those that are gone or may now do
// something else.
func (a *authenticator) replace(users map[string]user) map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := map[string]bool{}
	for key, u := range a.users {
		if !reflect.DeepEqual(u, users[key]) {
			changed[key] = true
		}
	}
	a.users = users
	return changed
}

// table lists everybody by his public key.
func (s *Server) table(u Users) map[string]user {
	users := map[string]user{s.pub: {accountMain, bus.AggregatorPermissions()}}
	for _, a := range u.Agents {
		users[a.NKey] = user{accountAgents, bus.AgentPermissions(a.Cluster, a.Node)}
	}
	for _, c := range u.Consumers {
		users[c.NKey] = user{accountReaders, bus.ConsumerPermissions(c.Name)}
	}
	return users
}

func permissions(p bus.Permissions) *server.Permissions {
	out := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: p.Publish},
		Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
	}
	if p.Responses > 0 {
		out.Response = &server.ResponsePermission{MaxMsgs: p.Responses, Expires: p.ResponsesFor}
	}
	return out
}

// kick closes the connections of these users.
func (s *Server) kick(keys map[string]bool) error {
	if len(keys) == 0 {
		return nil
	}
	for offset := 0; ; {
		page, err := s.srv.Connz(&server.ConnzOptions{Username: true, Offset: offset, Limit: 10_000})
		if err != nil {
			return fmt.Errorf("listing connections: %w", err)
		}
		for _, c := range page.Conns {
			if keys[c.AuthorizedUser] {
				_ = s.srv.DisconnectClientByID(c.Cid) // it may be gone by itself
			}
		}
		if offset += len(page.Conns); len(page.Conns) == 0 || offset >= page.Total {
			return nil
		}
	}
}
