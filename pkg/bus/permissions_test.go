package bus_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/test/poll"
)

// signIn connects with a node's key and nothing of ours between, as whoever stole it would.
func signIn(t *testing.T, b *bustest.Bus, node string) (*nats.Conn, chan error) {
	t.Helper()
	c := b.Config(node)
	key, err := nats.NkeyOptionFromSeed(string(c.NKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 100)
	nc, err := nats.Connect(c.URL, key, nats.CustomInboxPrefix(bus.AgentInbox(bustest.Cluster, node)),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { failed <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc, failed
}

// refused waits for the server's refusal of a subject.
func refused(t *testing.T, nc *nats.Conn, failed chan error, subject string) {
	t.Helper()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), fmt.Sprintf("%q", subject)) {
			t.Errorf("%s: %v", subject, err)
		}
	case <-time.After(poll.Patience):
		t.Errorf("%s: allowed", subject)
	}
}

// foreign are subjects of others, beside node-a's.
func foreign(id string) []string {
	return []string{
		"gopprof.v1.bytes.test.node-b." + id + ".0",
		"gopprof.v1.capture.test.node-b." + id,
		"gopprof.v1.capture.other.node-a." + id,
		"gopprof.v1.firing.test.node-b",
		"gopprof.v1.state.test.node-b",
		"gopprof.v1.agent.test.node-a.capture",
		"gopprof.v1.agent.test.node-b.capture",
		"gopprof.v1.report.test.shop.Deployment-cart.cart." + id,
		"gopprof.v1.dead.test.node-a." + id,
		"$JS.API.STREAM.PURGE." + bus.StreamCaptures,
		"$JS.API.STREAM.INFO." + bus.StreamReports,
		"$JS.API.CONSUMER.MSG.NEXT." + bus.StreamCaptures + ".gopprof-receive",
		"$JS.ACK." + bus.StreamCaptures + ".gopprof-receive.1.1.1.1.1",
		"$KV." + bus.BucketBudget + ".x",
		"$SYS.REQ.SERVER.PING",
		bus.AgentInbox(bustest.Cluster, "node-b") + ".x",
	}
}

func TestAgentMayNotPublishElsewhere(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"node-a", "node-b"}})
	b.Aggregator()
	nc, failed := signIn(t, b, "node-a")
	for _, subject := range foreign(newID(t)) {
		if err := nc.Publish(subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, failed, subject)
	}
}

func TestAgentMayNotSubscribeElsewhere(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"node-a", "node-b"}})
	b.Aggregator()
	nc, failed := signIn(t, b, "node-a")
	for _, subject := range append(foreign(newID(t))[1:], ">", "gopprof.>", "_INBOX.>", "gopprof.v1.agent.*.*.capture", "gopprof.v1.state.test.node-a") {
		if subject == "gopprof.v1.agent.test.node-a.capture" {
			continue // that is what it serves
		}
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, failed, subject)
	}
}

// TestAnswersGoNowhereElse: a sender chooses where the answer goes, and JetStream answers
// with rights of its own. It must not become a way around the sender's permissions.
func TestAnswersGoNowhereElse(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"node-a", "node-b"}})
	agg := b.Aggregator()
	nc, _ := signIn(t, b, "node-a")
	id := newID(t)
	for i, reply := range foreign(id) {
		subject := fmt.Sprintf("gopprof.v1.bytes.test.node-a.%s.%d", id, i)
		if err := nc.PublishRequest(subject, reply, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := nc.Request("gopprof.v1.bytes.test.node-a."+id+".last", []byte("x"), poll.Patience); err != nil {
		t.Fatal(err) // in order behind the others
	}
	for _, stream := range []string{bus.StreamCaptures, bus.StreamReports, bus.StreamDead, "KV_" + bus.BucketBudget} {
		if n := messages(t, agg, stream); n != 0 {
			t.Errorf("%d messages in %s, put there by answers", n, stream)
		}
	}
}

func TestUnknownUserIsRefused(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	file, _ := bustest.NewKeyFile(t)
	stranger, err := nats.NkeyOptionFromSeed(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string][]nats.Option{
		"nobody":            nil,
		"unknown key":       {stranger},
		"password":          {nats.UserInfo("aggregator", "")},
		"token":             {nats.Token("x")},
		"aggregator's name": {nats.Nkey(b.Server.NKey(), func([]byte) ([]byte, error) { return make([]byte, 64), nil })},
	} {
		nc, err := nats.Connect(b.Server.URL(), opts...)
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v, want %v", name, err, nats.ErrAuthorization)
		}
		if nc != nil {
			nc.Close()
		}
	}
}

// TestAgentOfAnotherName: the key is right, the configured name is not its owner's.
func TestAgentOfAnotherName(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	b.Aggregator()
	agent := b.AgentAs("b", "a")
	if err := agent.PublishCapture(within(t), capture(t, "b", 5)); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("publishing: %v, want %v", err, bus.ErrRefused)
	}
	serve(t, agent, &asked{})
	poll.Until(t, "the refusal shows", func() bool { return errors.Is(agent.Connected(), bus.ErrRefused) })
}

func TestUsersAreReplacedLive(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a", "b"}})
	b.Aggregator()
	stays, goes := b.Agent("a"), b.Agent("b")
	file, public := bustest.NewKeyFile(t)
	users := embedded.Users{Agents: []embedded.AgentUser{b.User("a"), {Cluster: bustest.Cluster, Node: "c", NKey: public}}}
	if err := b.Server.Reload(users); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the removed agent is refused", func() bool { return errors.Is(goes.Connected(), bus.ErrRefused) })
	b.AddKey("c", file)
	publish(t, b.Agent("c"), capture(t, "c", 5))
	publish(t, stays, capture(t, "a", 5))
	if err := goes.PublishCapture(within(t), capture(t, "b", 5)); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("publishing as a removed agent: %v, want %v", err, bus.ErrRefused)
	}
	if err := b.Server.Reload(embedded.Users{Agents: []embedded.AgentUser{b.User("a"), b.User("b")}}); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the agent is let in again", func() bool { return goes.Connected() == nil })
}
