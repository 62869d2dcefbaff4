// Command consumer is a fixture.
package main

import (
	_ "github.com/nats-io/nats.go"

	_ "github.com/gopprof/gopprof/pkg/gopprof" // breaks examples
)

func main() {}
