package webhook_test

import (
	"reflect"
	"testing"

	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/aggregator/notify/webhook"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// What a webhook gets is what NATS carries: the same decoder reads it.
func TestMessageIsTheEvent(t *testing.T) {
	r := notifytest.Report()
	body, contentType, err := webhook.Message(r)
	if err != nil || contentType != "application/cloudevents+json" {
		t.Fatalf("%q, %v", contentType, err)
	}
	got, err := wire.DecodeReport(body)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("got %+v\nwant %+v", got, r)
	}
}

func TestReportThatCannotBeWritten(t *testing.T) {
	if _, _, err := webhook.Message(gopprof.Report{}); err == nil {
		t.Error("an empty report was written")
	}
}
