package email_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/email"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
)

// A store that does not answer keeps the mail from nobody: it goes out without its pictures.
func TestMailThoughTheStoreHangs(t *testing.T) {
	s := startServer(t, func(*server) {})
	scene := scene(t, s, nil)
	l := notify.Letter{To: scene.Config.Receivers[0], Message: one(notifytest.Report()), Sign: notify.NewSecret(secretPassword), Now: scene.Now()}
	hangs := func(ctx context.Context, _ string) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	if out := (email.Channel{Files: hangs}).Send(ctx, l); out.Reason != "" {
		t.Fatalf("%+v", out)
	}
	if mails := s.got(); len(mails) != 1 || strings.Contains(mails[0].data, "image/svg+xml") {
		t.Errorf("%d mails", len(mails))
	}
}
