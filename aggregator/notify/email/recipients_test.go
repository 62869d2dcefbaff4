package email_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/email"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func threeRecipients(e *notify.Email) {
	e.To = []string{"Ada <ada@example.com>", "bob@example.com", "cy@example.com"}
}

// report hands in a report of a new incident and lets half a minute pass.
func report(t *testing.T, s *notifytest.Scene) {
	t.Helper()
	if err := s.Handle(t.Context(), notifytest.Report()); err != nil {
		t.Fatal(err)
	}
	s.Pass(31 * time.Second)
}

// One whose mailbox is full keeps the mail from nobody else, gets it alone once it is not, and
// holds no further mail back. One who has left is spoken of, and not tried again.
func TestRecipientsAreApart(t *testing.T) {
	server := startServer(t, func(*server) {})
	s := scene(t, server, threeRecipients)
	s.Config.Default.EndAfter = 24 * time.Hour
	s.Restart()
	server.say(map[string]string{"bob@": "452 4.2.2 full", "cy@": "550 5.1.1 nobody"})
	report(t, s)
	if got := server.took(); got != "ada\n" {
		t.Fatalf("first: %q", got)
	}
	if l := s.Logs.FilterMessage("recipient given up").All(); len(l) != 1 || s.Count("recipients_refused_total") != 1 || !strings.Contains(fmt.Sprint(l[0].ContextMap()), "cy@example.com is refused: 550 5.1.1 nobody") {
		t.Errorf("refused: %v", l)
	}
	s.Pass(time.Hour)
	if got := server.took(); got != "" || s.Count("failures_total") == 0 || s.Count("recipients_refused_total") != 1 {
		t.Errorf("within an hour: %q, %v failures, %v refused", got, s.Count("failures_total"), s.Count("recipients_refused_total"))
	}
	report(t, s)
	if got := server.took(); got != "ada\n" {
		t.Errorf("second: %q", got)
	}
	server.say(nil)
	s.Restart() // what is left is written down
	report(t, s)
	s.Pass(time.Second) // Restart knows of no record before a report or Run shows it
	if got := server.took(); !strings.Contains(got, "ada bob cy\n") {
		t.Errorf("third: %q", got)
	}
}

// What is left for a recipient is told once, by whichever replica, under the ID that the
// others got it by, and given up in its time.
func TestRestOfAMail(t *testing.T) {
	for _, x := range []struct {
		name, then string
		wait       time.Duration
		got        string
		gaveUp     float64
	}{
		{"taken later", "", 2 * time.Hour, "bob\n", 0},
		{"full for good", "452 4.2.2 full", 30 * time.Hour, "", 1},
		{"left meanwhile", "550 5.1.1 nobody", 2 * time.Hour, "", 1},
	} {
		server := startServer(t, func(*server) {})
		s := scene(t, server, nil)
		s.Config.Default.NoFollowUp = true
		s.Restart()
		server.say(map[string]string{"bob@": "452 4.2.2 full"})
		report(t, s)
		mails := server.got()
		if got := server.took(); got != "ada\n" {
			t.Fatalf("%s: first: %q", x.name, got)
		}
		server.say(map[string]string{"bob@": x.then})
		s.Pass(x.wait)
		mails = append(mails, server.got()...)
		if got := server.took(); got != x.got || s.Count("gave_up_total") != x.gaveUp {
			t.Errorf("%s: then: %q, %v given up", x.name, got, s.Count("gave_up_total"))
		}
		id := func(m mailed) string {
			h, _ := parts(t, m.data)
			return h.Get("Message-Id") + h.Get("To")
		}
		if len(mails) == 2 && id(mails[0]) != id(mails[1]) {
			t.Errorf("%s: another mail: %s, %s", x.name, id(mails[0]), id(mails[1]))
		}
	}
}

// Where nobody is taken now, those who never will be are not tried again.
func TestNobodyIsTakenNow(t *testing.T) {
	server := startServer(t, func(*server) {})
	s := scene(t, server, threeRecipients)
	server.say(map[string]string{"ada@": "451 4.7.1 greylisted", "bob@": "451 4.7.1 greylisted", "cy@": "550 5.1.1 nobody"})
	report(t, s)
	server.say(map[string]string{"cy@": "550 5.1.1 nobody"})
	s.Pass(10 * time.Second)
	if got := server.took(); got != "ada bob\n" || s.Count("recipients_refused_total") != 1 {
		t.Errorf("%q, %v refused", got, s.Count("recipients_refused_total"))
	}
}

// What is left for somebody who is not in the configuration any more is given up, and nobody
// else gets it.
func TestRecipientWhoIsGone(t *testing.T) {
	server := startServer(t, func(*server) {})
	s := scene(t, server, nil)
	out := email.Channel{}.Send(t.Context(), notify.Letter{To: s.Config.Receivers[0], Message: one(notifytest.Report()), Left: []string{"eve@example.com"}})
	if out.Reason != gopprof.ReasonGone || out.Retry || server.took() != "" {
		t.Errorf("%+v", out)
	}
}
