package bus_test

import (
	"os"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/bus"
)

func readDoc(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/nats.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestDocShowsTheCodeThatIsTested: the example in docs/nats.md is the one TestReaders runs.
func TestDocShowsTheCodeThatIsTested(t *testing.T) {
	source, err := os.ReadFile("reader_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "// begin: docs/nats.md\n")
	code, _, ok := strings.Cut(code, "// end: docs/nats.md")
	if !ok {
		t.Fatal("reader_test.go has no marks around the example")
	}
	if !strings.Contains(readDoc(t), "```go\n"+strings.TrimSpace(code)+"\n```\n") {
		t.Error("the Go example in docs/nats.md is not that of pkg/bus/reader_test.go: copy it from there")
	}
}

// TestDocNamesEverything: what the code knows stands in docs/nats.md.
func TestDocNamesEverything(t *testing.T) {
	page := readDoc(t)
	var names []string
	for _, p := range bus.Passages() {
		names = append(names, p.Subject, p.As)
	}
	agent, reader, aggregator := bus.AgentPermissions("prod", "node-1"), bus.ConsumerPermissions("billing"), bus.AggregatorPermissions()
	for _, p := range []bus.Permissions{agent, reader, aggregator} {
		names = append(names, p.Publish...)
		names = append(names, p.Subscribe...)
	}
	names = append(names, bus.StreamBytes, bus.StreamCaptures, bus.StreamReports, bus.StreamDead,
		bus.BucketOperations, bus.BucketKeys, bus.BucketBudget, bus.BucketIncidents, bus.BucketTold, bus.BucketSilences,
		bus.HeaderReason, bus.HeaderDetail, bus.HeaderSubject, bus.HeaderBytes, bus.HeaderChunks, bus.HeaderTruncated)
	for _, name := range names {
		if !strings.Contains(page, name) {
			t.Errorf("docs/nats.md does not name %q", name)
		}
	}
}
