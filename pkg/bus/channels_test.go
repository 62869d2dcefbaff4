package bus_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/poll"
)

// TestChannelsAreWhatIsSaid sends one message of everything, and holds what passes over NATS
// against the list of channels: each address, the type of its messages and of their answers,
// and the stream that keeps them.
func TestChannelsAreWhatIsSaid(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"node.1"}})
	agg, agent := b.Aggregator(), b.Agent("node.1")
	heard := b.Hear(bus.Root + ">")
	js, err := jetstream.New(agg.Conn())
	if err != nil {
		t.Fatal(err)
	}
	serve(t, agent, &asked{})
	background(t, "answer", func(ctx context.Context) error {
		return agg.Answer(ctx, func(context.Context, gopprof.Firing) gopprof.Decision {
			return gopprof.Decision{Reason: gopprof.ReasonBudget}
		})
	})

	names := map[string]string{"{cluster}": bustest.Cluster, "{node}": "node%2E1", "{n}": "0", "{namespace}": "shop", "{kind}": "Deployment", "{workload}": "cart", "{pod}": "cart-5d9f%2E0"}
	sent := sendEverything(t, b, agg, agent)
	names["{capture}"], names["{report}"] = sent, sent
	want := map[string]bus.Channel{}
	for _, c := range bus.Channels() {
		want[fill(c.Address, names)] = c
	}
	for len(want) > 0 {
		m, err := heard.NextMsg(poll.Patience)
		if err != nil {
			t.Fatalf("%v: not heard of %v", err, want)
		}
		c, ok := want[m.Subject]
		if !ok {
			if !known(m.Subject) {
				t.Errorf("%q is of no channel", m.Subject)
			}
			continue
		}
		delete(want, m.Subject)
		if got := typeOf(m.Data); got != c.Type && c.Name != "dead" {
			t.Errorf("%s: a message of type %q, want %q", c.Name, got, c.Type)
		}
		if name, err := js.StreamNameBySubject(within(t), m.Subject); name != c.Stream || err != nil && c.Stream != "" {
			t.Errorf("%s: kept by stream %q, want %q: %v", c.Name, name, c.Stream, err)
		}
	}
}

// sendEverything sends a message on each channel, about one capture, and returns its ID.
func sendEverything(t *testing.T, b *bustest.Bus, agg *bus.Aggregator, agent *bus.Agent) string {
	t.Helper()
	c := capture(t, "node.1", 5)
	r := receive(t, agg)
	publish(t, agent, c)
	if err := agent.PublishState(within(t), gopprof.NodeState{Cluster: bustest.Cluster, Node: "node.1", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := agg.PublishReport(within(t), report(c)); err != nil {
		t.Fatal(err)
	}
	answers(t, b, agg, c)
	return deadLettered(t, r, c)
}

// deadLettered keeps the delivered capture as a dead letter; its chunks stay.
func deadLettered(t *testing.T, r *receiver, c gopprof.Capture) string {
	t.Helper()
	if err := r.next().DeadLetter(within(t), gopprof.ReasonWorkerDied, ""); err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// answers asks whatever can be asked, past our own code, and looks at the answers' types.
func answers(t *testing.T, b *bustest.Bus, agg *bus.Aggregator, c gopprof.Capture) {
	t.Helper()
	node, _ := signIn(t, b, "node.1")
	bodies := map[string]func() ([]byte, error){
		wire.TypeFiring: func() ([]byte, error) {
			return wire.EncodeFiring(gopprof.Firing{Capture: c.ID, Target: c.Target})
		},
		wire.TypeCaptureRequest: func() ([]byte, error) {
			return wire.EncodeCaptureRequest(gopprof.CaptureRequest{Capture: c.ID, Incident: c.Incident, Kind: gopprof.TriggerManual})
		},
		wire.TypeCancelRequest: func() ([]byte, error) {
			return wire.EncodeCancelRequest(gopprof.CancelRequest{Capture: c.ID})
		},
		wire.TypeStatusRequest: func() ([]byte, error) {
			return wire.EncodeStatusRequest(gopprof.StatusRequest{Capture: c.ID})
		},
		wire.TypePauseRequest: func() ([]byte, error) { return wire.EncodePauseRequest(gopprof.PauseRequest{ID: c.ID}) },
	}
	for _, channel := range bus.Channels() {
		if channel.Answer == "" {
			continue
		}
		from := node
		if channel.ToNode {
			from = agg.Conn()
		}
		data, err := bodies[channel.Type]()
		if err != nil {
			t.Fatal(err)
		}
		subject := fill(channel.Address, map[string]string{"{cluster}": bustest.Cluster, "{node}": "node%2E1"})
		var m *nats.Msg
		poll.Until(t, channel.Name+" is answered", func() bool {
			m, err = from.Request(subject, data, time.Second)
			return err == nil
		})
		if got := typeOf(m.Data); got != channel.Answer {
			t.Errorf("%s: an answer of type %q, want %q", channel.Name, got, channel.Answer)
		}
	}
}

// known tells whether a subject is of some channel.
func known(subject string) bool {
	for _, c := range bus.Channels() {
		if matches(c.Wildcard(), subject) {
			return true
		}
	}
	return false
}

func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i := range p {
		if len(p) != len(s) || p[i] != "*" && p[i] != s[i] {
			return false
		}
	}
	return true
}

func fill(address string, names map[string]string) string {
	for parameter, name := range names {
		address = strings.ReplaceAll(address, parameter, name)
	}
	return address
}

func typeOf(event []byte) string {
	var e struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(event, &e) // bytes are no event
	return e.Type
}

// TestWhatCrossesIsAChannel: the subjects that agents are let through are channels.
func TestWhatCrossesIsAChannel(t *testing.T) {
	for _, p := range bus.Passages() {
		if p.Users != bus.UsersAgents {
			continue
		}
		var of []string
		for _, c := range bus.Channels() {
			if matches(p.Subject, c.Wildcard()) && c.ToNode == p.Served {
				of = append(of, c.Name)
			}
		}
		if len(of) == 0 {
			t.Errorf("%q crosses, and is of no channel", p.Subject)
		}
	}
}
