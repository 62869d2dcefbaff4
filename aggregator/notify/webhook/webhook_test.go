package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/aggregator/notify/webhook"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

var channels = notify.Channels{Posters: map[string]notify.Poster{notify.ChannelWebhook: webhook.Channel{}}}

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

// verify is what a receiver does: docs/notify.md has it.
func verify(r notifytest.Request) error {
	at, signature := r.Header.Get("Gopprof-Timestamp"), r.Header.Get("Gopprof-Signature")
	mac := hmac.New(sha256.New, []byte(notifytest.SignSecret))
	fmt.Fprintf(mac, "%s.%s", at, r.Body)
	if want := "v1=" + hex.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(signature), []byte(want)) {
		return fmt.Errorf("signature %q, not %q", signature, want)
	}
	if sent, err := strconv.ParseInt(at, 10, 64); err != nil || sent != r.Now.Unix() {
		return fmt.Errorf("timestamp %q at %d", at, r.Now.Unix())
	}
	return nil
}

func TestSignature(t *testing.T) {
	s := notifytest.Start(t, notify.ChannelWebhook, channels)
	if err := s.Handle(t.Context(), notifytest.Report()); err != nil {
		t.Fatal(err)
	}
	if h := s.Posts()[0].Header; h.Get("Gopprof-Signature") != "" || h.Get("Gopprof-Timestamp") != "" {
		t.Errorf("signed without a secret: %v", h)
	}
	s.Config.Receivers[0].SignFile = s.File(notifytest.SignSecret + "\n")
	s.Restart()
	if err := s.Handle(t.Context(), notifytest.Report()); err != nil {
		t.Fatal(err)
	}
	got := s.Posts()[1]
	if err := verify(got); err != nil {
		t.Error(err)
	}
	got.Body += " "
	if verify(got) == nil {
		t.Error("a body that was changed is signed, too")
	}
	s.Config.Receivers[0].SignFile = "/nonexistent/secret"
	s.Restart()
	if err := s.Handle(t.Context(), notifytest.Report()); err == nil || len(s.Posts()) != 2 {
		t.Errorf("posted without the signature that it was to have: %v", err)
	}
}

// The values that docs/notify.md has, as Python's hmac computes them.
func TestSignatureOfTheDocumentation(t *testing.T) {
	const want = "4cfd86851792c61d36dcd160e5f10981724e14104efff125d1500dd1148d4f9f"
	if got := webhook.Signature("secret", "1795608000", []byte(`{"id":"1"}`)); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

func TestTemplateIsTheBody(t *testing.T) {
	s := notifytest.Start(t, notify.ChannelWebhook, channels)
	s.Config.Receivers[0].Template = `{"text": {{json .Title}}, "links": {{json .Links}}}`
	s.Restart()
	out, err := s.Deliver(t.Context(), "ops", notify.One(notify.ItemOf(notifytest.Hostile(`"</x>`)), s.Now()))
	if err != nil || out.Reason != "" {
		t.Fatalf("%+v, %v", out, err)
	}
	got := s.Posts()[0]
	var body struct {
		Text  string
		Links []notify.Link
	}
	if err := notifytest.Decode(got.Body, &body); err != nil || !strings.HasPrefix(body.Text, `"</x>/"</x>: cpu at 93 %`) || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v: %s", err, got.Body)
	}
}

func TestTestMessage(t *testing.T) {
	s := notifytest.Start(t, notify.ChannelWebhook, channels)
	if out, err := s.Deliver(t.Context(), "ops", notify.Message{ID: "test-1", Who: "ada"}); err != nil || out.Reason != "" {
		t.Fatalf("%+v, %v", out, err)
	}
	if body := s.Posts()[0].Body; !strings.Contains(body, `"io.gopprof.test.v1"`) || !strings.Contains(body, `"ada"`) {
		t.Error(body)
	}
}
