package bus_test

import (
	"os"
	"path/filepath"
	"regexp"
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

// TestDocLinksLeadSomewhere: the examples, schemas and messages that the page shows are there.
func TestDocLinksLeadSomewhere(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(readDoc(t), -1)
	if len(links) < 20 {
		t.Errorf("only %d links", len(links))
	}
	for _, link := range links {
		if _, err := os.Stat(filepath.Join("../../docs", link[1])); err != nil {
			t.Error(err)
		}
	}
}
