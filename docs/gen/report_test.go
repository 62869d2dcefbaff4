package main

import (
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// The example is a report that could be: NATS would carry it.
func TestTheExampleIsAReport(t *testing.T) {
	r := exampleReport()
	data, err := wire.EncodeReport(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.DecodeReport(data); err != nil {
		t.Error(err)
	}
	for _, s := range r.Siblings {
		if err := gopprof.CheckID(s.Capture); err != nil {
			t.Error(err)
		}
	}
}

func TestTheReferenceKnowsEveryPart(t *testing.T) {
	text, err := reportReference("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"### Verdict\n", "### Difference\n", "### Growth\n", "### Sibling\n", "### Fleet\n", "### Point\n", "### Confidence\n", `"scope": "pod"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q", want)
		}
	}
}
