package embedded

import (
	"context"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/gopprof/gopprof/pkg/bus"
)

// verifyWithin is how long a token may take: an agent waits for 5 s.
const verifyWithin = 4 * time.Second

// Verifier says whose token it is that somebody brings in the place of an nkey.
type Verifier interface {
	// VerifyAgent returns the node whose agent the token was made for, and when the token
	// expires. It counts and logs whom it refuses. It is called by many at once.
	VerifyAgent(ctx context.Context, token string) (cluster, node string, expires time.Time, err error)
}

// checkToken lets an agent in until its token expires; it comes back with a renewed one.
// Users who are listed cannot be meant: those have nkeys, so no lock is held while somebody
// else is asked.
func (a *authenticator) checkToken(c server.ClientAuthentication, token string) bool {
	if a.tokens == nil || token == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(a.ctx, verifyWithin)
	defer cancel()
	cluster, node, expires, err := a.tokens.VerifyAgent(ctx, token)
	if err != nil || node == "" || !time.Now().Before(expires) {
		return false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	account := a.accounts[accountAgents]
	if account == nil {
		return false
	}
	c.RegisterUser(&server.User{
		Username: "agent " + cluster + "/" + node, Account: account,
		Permissions: permissions(bus.AgentPermissions(cluster, node)), ConnectionDeadline: expires,
	})
	return true
}
