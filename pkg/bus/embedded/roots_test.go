package embedded_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopprof/gopprof/test/poll"
)

// TestAuthorityMayComeLater: the aggregator writes the authority's certificate, and the
// kubelet brings it to the node when the agent runs already.
func TestAuthorityMayComeLater(t *testing.T) {
	s, ca := serveTokens(t, ownCA(t), &believer{})
	token, later := filepath.Join(t.TempDir(), "token"), filepath.Join(t.TempDir(), "ca.crt")
	replace(t, token, tokenFor("node-1", time.Hour))
	agent := tokenAgent(t, s, later, token, "node-1")
	if agent.Connected() == nil {
		t.Fatal("connected to a server that nobody vouches for")
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, later, string(pem))
	poll.Until(t, "the agent connects", func() bool { return agent.Connected() == nil })
}
