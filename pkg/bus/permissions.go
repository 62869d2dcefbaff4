package bus

import "time"

// Permissions says what one user may do on NATS, as plain data: the embedded server turns
// it into its own users, and docs/nats.md shows it for external ones.
type Permissions struct {
	Publish   []string
	Subscribe []string
	// Responses is how many messages the user may publish to the reply subject of a
	// message that it received, and ResponsesFor how long after. 0 is none.
	Responses    int
	ResponsesFor time.Duration
}

// AgentPermissions is what the agent of one node may do: its own subjects, its own inbox,
// one answer to each request. It needs nothing of JetStream's own API.
func AgentPermissions(cluster, node string) Permissions {
	return Permissions{
		Publish: []string{
			subject("bytes", cluster, node) + ".*.*",
			subject("capture", cluster, node) + ".*",
			subject("firing", cluster, node),
			subject("state", cluster, node),
		},
		Subscribe: []string{
			requestSubject(cluster, node, "*"),
			agentInbox(cluster, node) + ".>",
		},
		Responses:    1,
		ResponsesFor: time.Minute,
	}
}

// AggregatorPermissions is what the aggregator may do on a server of its own or one that
// it shares with others.
func AggregatorPermissions() Permissions {
	publish := []string{root + ">", "$JS.API.>", "$JS.ACK.>"}
	for _, b := range bucketNames() {
		publish = append(publish, bucketSubject+b+".>")
	}
	return Permissions{
		Publish:      publish,
		Subscribe:    []string{root + ">", aggregatorInbox + ".>"},
		Responses:    1,
		ResponsesFor: time.Minute,
	}
}

// ConsumerPermissions is what a downstream consumer of reports may do: read by the durable
// consumer of its own name, which the aggregator made with the namespaces it may see.
func ConsumerPermissions(name string) Permissions {
	durable := ConsumerDurable(name)
	return Permissions{
		Publish: []string{
			ReaderAPI + consumerInfo + durable,
			ReaderAPI + consumerNext + durable,
			"$JS.ACK." + StreamReports + "." + durable + ".>",
		},
		Subscribe: []string{ConsumerInbox(name) + ".>"},
	}
}

// aggregatorInbox is the inbox prefix of every aggregator.
const aggregatorInbox = "_INBOX.aggregator"

// agentInbox is the inbox prefix of one node's agent: whoever else could subscribe to it
// could read its answers.
func agentInbox(cluster, node string) string {
	return "_INBOX.agent." + Token(cluster) + "." + Token(node)
}

// ConsumerInbox is the inbox prefix that a downstream consumer must use.
func ConsumerInbox(name string) string { return "_INBOX.consumer." + Token(name) }

// ConsumerDurable is the name of a downstream consumer's durable consumer.
func ConsumerDurable(name string) string { return readerPrefix + Token(name) }
