#!/usr/bin/env bash
# Prints gopprof's reports that are waiting for a consumer, oldest first, as one line of JSON
# each, with the nats command (https://github.com/nats-io/natscli).
#
#   NATS_URL=nats://127.0.0.1:4222 NATS_NKEY=billing.nk docs/examples/nats-cli.sh billing [MOST]
#
# NAME is the consumer as the aggregator's embedded.consumers names it, NATS_NKEY the file that
# `aggregator --new-key` wrote; NATS_CA names the server's authority where it is a private one.
#
# The command acknowledges a report when it has it. If what reads this script's output is
# killed, the report that it was working on does not come again: where none may be lost, use a
# program that acknowledges last, as consumer/main.go does.
set -euo pipefail

name=${1:?usage: nats-cli.sh NAME [MOST]}
most=${2:-1000}
stream=GOPPROF_REPORTS durable=reader-$name

# A consumer may subscribe below its own inbox only, and asks JetStream by gopprof's own prefix.
# Its durable consumer was made by the aggregator: it can make none, so `nats sub` on the
# reports' subjects is refused, and so is every other consumer.
reader() {
	"${NATS_CLI:-nats}" --no-context --inbox-prefix="_INBOX.consumer.$name" --js-api-prefix=gopprof.v1.api "$@"
}

waiting=$(reader consumer info "$stream" "$durable" --json | sed -n 's/.*"num_pending": *\([0-9]*\).*/\1/p')
for ((n = waiting < most ? waiting : most; n > 0; n--)); do
	reader consumer next "$stream" "$durable" --raw --ack
done
