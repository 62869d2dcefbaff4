package natsdoc

import (
	"fmt"
	"strings"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/wire"
)

// message is one type of event.
type message struct {
	Name string // of its schema, and of the golden file in pkg/wire
	Type string
	Noun string // the Go type of its data
	What string
	ID   string // whose ID is the event's; empty: it has one of its own

	FromAgent   bool
	AboutTarget bool // it has the attribute "subject"
}

func messages() []message {
	return []message{
		{Name: "report", Type: wire.TypeReport, Noun: "Report", What: "A report, without what would not fit into a message", ID: "report", AboutTarget: true},
		{Name: "capture", Type: wire.TypeCapture, Noun: "Capture", What: "A capture, without the bytes of its profiles", ID: "capture", FromAgent: true, AboutTarget: true},
		{Name: "firing", Type: wire.TypeFiring, Noun: "Firing", What: "An agent's question: a rule fires, may it capture", ID: "capture that will be made", FromAgent: true},
		{Name: "decision", Type: wire.TypeDecision, Noun: "Decision", What: "The answer to a firing", ID: "capture that was asked for"},
		{Name: "state", Type: wire.TypeState, Noun: "NodeState", What: "What an agent knows of its node's targets", FromAgent: true},
		{Name: "capture-request", Type: wire.TypeCaptureRequest, Noun: "CaptureRequest", What: "Asks an agent for a capture", ID: "capture"},
		{Name: "cancel-request", Type: wire.TypeCancelRequest, Noun: "CancelRequest", What: "Asks an agent to stop a capture", ID: "capture"},
		{Name: "status-request", Type: wire.TypeStatusRequest, Noun: "StatusRequest", What: "Asks an agent what became of a capture", ID: "capture"},
		{Name: "pause-request", Type: wire.TypePauseRequest, Noun: "PauseRequest", What: "Tells an agent to profile nothing any more, or again", ID: "request"},
		{Name: "capture-reply", Type: wire.TypeCaptureReply, Noun: "CaptureReply", What: "An agent's answer to a request", ID: "capture or request", FromAgent: true},
	}
}

// file is where the schema lies below docs.
func (m message) file() string { return "schemas/" + m.Name + ".json" }

func messageOf(typ string) (message, error) {
	for _, m := range messages() {
		if m.Type == typ {
			return m, nil
		}
	}
	return message{}, fmt.Errorf("nothing is said of messages of type %q", typ)
}

// about is what is said of a channel beside what pkg/bus knows.
type about struct{ Title, How string }

func channels() map[string]about {
	const once = `JetStream, "expected last sequence of this subject: 0"`
	return map[string]about{
		"reports":  {"reports", once},
		"captures": {"captures", once},
		"bytes":    {"chunks of profiles", "JetStream, at most 512 KiB each, and no more of them than eight and one for each 64 KiB of a profile, before their capture; `n` counts through all profiles of the capture in their order"},
		"firing":   {"asking before a capture", "request/reply, one second; aggregators share a queue group"},
		"state":    {"state of a node", "nobody acknowledges; every 30 s"},
		"capture":  {"request for a capture", "request/reply"},
		"cancel":   {"request to stop one", "request/reply"},
		"status":   {"request for what became of one", "request/reply"},
		"pause":    {"the pause", "request/reply"},
		"dead":     {"dead letters", "JetStream; the message as it came, with headers"},
	}
}

// fromAggregator tells whether the aggregator sends on a channel; agents do otherwise.
func fromAggregator(c bus.Channel) bool {
	return c.ToNode || c.Stream == bus.StreamReports || c.Stream == bus.StreamDead
}

// way says who sends to whom.
func way(c bus.Channel) string {
	switch {
	case c.Stream == bus.StreamReports:
		return "aggregator → everybody"
	case c.ToNode:
		return "aggregator → agent"
	case fromAggregator(c):
		return "aggregator → itself"
	}
	return "agent → aggregator"
}

// headers are those of a channel's messages, each with its meaning.
func headers(channel string) map[string]string {
	switch channel {
	case "reports":
		return map[string]string{"Nats-Msg-Id": "the report's ID"}
	case "bytes":
		return map[string]string{"Nats-TTL": "of an empty chunk only: it takes back the one that was there, for want of room for the whole capture"}
	case "dead":
		return map[string]string{
			bus.HeaderReason: "why it could not be handled", bus.HeaderDetail: "the same, for a person",
			bus.HeaderSubject: "where it came", bus.HeaderBytes: "subject of its chunks that are left",
			bus.HeaderChunks: "how many they are", bus.HeaderTruncated: "its length, if not all of it was kept",
		}
	}
	return nil
}

// parameters of addresses.
func parameters() map[string]string {
	return map[string]string{
		"cluster": "name of the cluster", "node": "name of the node", "capture": "ID of the capture", "n": "number of the chunk, from 0",
		"namespace": "of the pod", "kind": "of the workload, as Kubernetes spells it", "workload": "name of the workload", "pod": "name of the pod", "report": "ID of the report",
	}
}

// The table of channels stands between these marks in docs/nats.md.
const (
	Begins = "<!-- written by make update-docs out of pkg/bus -->\n"
	Ends   = "<!-- end of what is written -->\n"
)

// Page returns docs/nats.md with the table of channels as it is now.
func Page(old string) (string, error) {
	before, rest, begins := strings.Cut(old, Begins)
	_, after, ends := strings.Cut(rest, Ends)
	if !begins || !ends {
		return "", fmt.Errorf("docs/nats.md has no place for the channels: put %q and %q there", Begins, Ends)
	}
	table, err := table()
	return before + Begins + table + Ends + after, err
}

func table() (string, error) {
	var b strings.Builder
	b.WriteString("| what | from → to | subject | message, answer | how |\n|---|---|---|---|---|\n")
	for _, c := range bus.Channels() {
		var links []string
		for _, typ := range []string{c.Type, c.Answer} {
			if typ == "" {
				continue
			}
			m, err := messageOf(typ)
			if err != nil {
				return "", err
			}
			links = append(links, fmt.Sprintf("[%s](%s) ([example](../pkg/wire/testdata/%s.json))", m.Name, m.file(), m.Name))
		}
		said := channels()[c.Name]
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s |\n", said.Title, way(c), c.Address, strings.Join(links, ", "), said.How)
	}
	return b.String(), nil
}
