package notify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/bus"
)

// Records that cannot be written are told of when that begins and when it is over, not for
// each report and each try; and each is counted.
func TestRecordsThatCannotBeWritten(t *testing.T) {
	for _, channel := range []string{notify.ChannelWebhook, notify.ChannelSlack} {
		t.Run(channel, func(t *testing.T) {
			s, _ := chatting(t)
			if channel == notify.ChannelWebhook {
				s = notifytest.Start(t, channel, channels())
			}
			wantLines := func(when string, want ...string) {
				t.Helper()
				got := []string{}
				for _, l := range s.Logs.TakeAll() {
					if strings.HasPrefix(l.Message, "reports ") {
						got = append(got, l.Message+": "+fmt.Sprint(l.ContextMap()["reason"]))
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: %q, want %q", when, got, want)
				}
			}
			one, two := of(incident(), "web-1"), of(incident(), "web-2")
			try := func(ok bool) {
				t.Helper()
				if err := s.Handle(t.Context(), one); (err == nil) != ok {
					t.Errorf("the first: %v", err)
				}
				if err := s.Handle(t.Context(), two); (err == nil) != ok {
					t.Errorf("the second: %v", err)
				}
			}
			s.KV.Fill(true)
			try(false)
			wantLines("full", "reports cannot be handled, they are tried again: store_failed")
			s.Wait(time.Minute)
			try(false)
			wantLines("still full")
			if n := s.Count("failures_total"); n != 4 {
				t.Errorf("%v failures counted, want 4", n)
			}
			s.KV.Break(fmt.Errorf("reading: %w", bus.ErrAway))
			try(false)
			wantLines("away, too", "reports cannot be handled, they are tried again: no_answer", "reports do not fail for that reason any more: store_failed")
			s.KV.Break(nil)
			s.KV.Fill(false)
			try(true)
			wantLines("well", "reports do not fail for that reason any more: no_answer")
			try(true)
			wantLines("still well")
		})
	}
}

// A report that another replica got meanwhile is not waited for.
func TestUnhandledReportThatCameToAnotherReplica(t *testing.T) {
	s, _ := chatting(t)
	s.KV.Fill(true)
	if err := s.Handle(t.Context(), of(incident(), "web-1")); err == nil {
		t.Fatal("a full bucket takes nothing")
	}
	s.KV.Fill(false)
	handle(t, s, of(incident(), "web-2"))
	if n := s.Logs.FilterMessage("reports do not fail for that reason any more").Len(); n != 0 {
		t.Error("the first was not handled")
	}
	s.Wait(time.Hour)
	handle(t, s, of(incident(), "web-3"))
	if n := s.Logs.FilterMessage("reports do not fail for that reason any more").Len(); n != 1 {
		t.Errorf("%d lines that it is over, want 1", n)
	}
}
