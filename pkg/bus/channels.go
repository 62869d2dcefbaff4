package bus

import (
	"regexp"

	"github.com/gopprof/gopprof/pkg/wire"
)

// Channel is a family of subjects, as plain data: streams are made of it, and
// docs/asyncapi.yaml shows it.
type Channel struct {
	Name string // as docs/asyncapi.yaml calls it: "reports"
	// Address is the subject of a message. What stands in braces is the name of that thing,
	// as Token escapes it.
	Address string
	// Type is that of the messages, one of wire's; empty where they are no events.
	Type string
	// Answer is the type of the message that answers each; empty where JetStream
	// acknowledges it, or nobody does.
	Answer string
	Stream string // that keeps the messages; empty: none does
	Queue  string // the queue group of those who answer, if they share one
	ToNode bool   // from the aggregator to the agent of a node
}

const nodeAddress = "{cluster}.{node}"

// The channels that streams keep.
func bytesChannel() Channel {
	return Channel{Name: "bytes", Address: root + "bytes." + nodeAddress + ".{capture}.{n}", Stream: StreamBytes}
}

func capturesChannel() Channel {
	return Channel{Name: "captures", Address: root + "capture." + nodeAddress + ".{capture}", Type: wire.TypeCapture, Stream: StreamCaptures}
}

func reportsChannel() Channel {
	return Channel{Name: "reports", Address: root + "report.{cluster}.{namespace}.{kind}-{workload}.{pod}.{report}", Type: wire.TypeReport, Stream: StreamReports}
}

func deadChannel() Channel {
	return Channel{Name: "dead", Address: root + "dead." + nodeAddress + ".{capture}", Stream: StreamDead}
}

// Channels lists them all.
func Channels() []Channel {
	request := func(verb, typ string) Channel {
		return Channel{Name: verb, Address: root + "agent." + nodeAddress + "." + verb, Type: typ, Answer: wire.TypeCaptureReply, ToNode: true}
	}
	return []Channel{
		reportsChannel(),
		capturesChannel(),
		bytesChannel(),
		{Name: "firing", Address: root + "firing." + nodeAddress, Type: wire.TypeFiring, Answer: wire.TypeDecision, Queue: answerQueue},
		{Name: "state", Address: root + "state." + nodeAddress, Type: wire.TypeState},
		request(verbCapture, wire.TypeCaptureRequest),
		request(verbCancel, wire.TypeCancelRequest),
		request(verbStatus, wire.TypeStatusRequest),
		request(verbPause, wire.TypePauseRequest),
		deadChannel(),
	}
}

var parameters = regexp.MustCompile(`[^.]*\{[^.]*\}[^.]*`)

// Wildcard returns the subject that matches all of the channel.
func (c Channel) Wildcard() string { return parameters.ReplaceAllString(c.Address, "*") }
