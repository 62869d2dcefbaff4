// Package notifytest is the contract of notify: how reports are brought to a receiver over
// every HTTP status and every way in which a post can fail (Run), and what each channel
// keeps against a strict double of its API (RunPoster). A channel enters; the test fails
// where the contract is broken.
package notifytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
)

// Run checks the bringing of single reports by a channel.
func Run(t *testing.T, channel string, channels notify.Channels) {
	for name, check := range map[string]func(*testing.T, start){
		"EveryStatus": everyStatus, "Message": message, "RetryAfter": retryAfter, "Failures": failures, "Answered": answered,
		"Redirects": redirects, "ToldOnce": toldOnce, "Replicas": replicas, "Crash": crash, "Cut": cut,
		"GivesUp": givesUp, "AtOnce": atOnce, "Busy": busy, "Secrets": secrets, "Rotation": rotation, "Clock": clock,
	} {
		t.Run(name, func(t *testing.T) {
			check(t, func() *Scene { return Start(t, channel, channels) })
		})
	}
}

// start makes a scene.
type start func() *Scene

// everyStatus: 2xx is told; 408, 425, 429 and 5xx are tried again; everything else is given
// up.
func everyStatus(t *testing.T, start start) {
	for code := 200; code < 600; code++ {
		s := start()
		s.Answer(Status(code))
		r := Report()
		err := s.Handle(t.Context(), r)
		told, again := code < 300, code == 408 || code == 425 || code == 429 || code >= 500
		if retry := retryError(err); again != (retry != nil) || (err != nil && retry == nil) {
			t.Errorf("%d: %v", code, err)
		}
		if n := len(s.Posts()); n != 1 {
			t.Errorf("%d: %d posts", code, n)
		}
		s.Wait(time.Hour)
		_ = s.Handle(t.Context(), r)
		if n := len(s.Posts()); (n == 2) != again {
			t.Errorf("%d: %d posts once the report came again", code, n)
		}
		for counter, want := range map[string]bool{"told_total": told, "failures_total": again, "gave_up_total": !told && !again, "repeats_total": !again} {
			if got := s.Count(counter); (got > 0) != want {
				t.Errorf("%d: %s is %v", code, counter, got)
			}
		}
		s.Server.Close()
	}
}

func retryError(err error) *notify.RetryError {
	e, _ := errors.AsType[*notify.RetryError](err)
	return e
}

// message: JSON, the same at every attempt, under the same ID.
func message(t *testing.T, start start) {
	s := start()
	s.Answer(Status(503))
	r := Report()
	for range 3 {
		if err := s.Handle(t.Context(), r); err == nil {
			t.Fatal("503 is not told")
		}
		s.Wait(time.Hour)
	}
	posts := s.Posts()
	if len(posts) != 3 {
		t.Fatalf("%d posts", len(posts))
	}
	for _, p := range posts {
		if p.Body != posts[0].Body {
			t.Errorf("the message changed: %s", p.Body)
		}
		if p.Header.Get(notify.HeaderReport) != r.ID || p.Header.Get(notify.HeaderIdempotency) != r.ID {
			t.Errorf("header: %v", p.Header)
		}
		if p.Header.Get("Authorization") != "Bearer "+Token {
			t.Error("no token")
		}
		if !json.Valid([]byte(p.Body)) || !strings.Contains(p.Body, r.ID) {
			t.Errorf("body: %s", p.Body)
		}
	}
}

// retryAfter: the receiver's wish is kept to, in both its forms and for all reports.
func retryAfter(t *testing.T, start start) {
	for name, value := range map[string]func(now time.Time) string{
		"seconds":          func(time.Time) string { return "90" },
		"a date":           func(now time.Time) string { return now.Add(90 * time.Second).Format(http.TimeFormat) },
		"nonsense":         func(time.Time) string { return "soon" },
		"long ago":         func(now time.Time) string { return now.Add(-time.Hour).Format(http.TimeFormat) },
		"less than none":   func(time.Time) string { return "-5" },
		"longer than ever": func(time.Time) string { return "99999999" },
	} {
		s := start()
		s.Answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value(s.Now()))
			w.WriteHeader(http.StatusTooManyRequests)
		})
		want := s.Config.RetryFirst
		switch {
		case name == "seconds" || name == "a date":
			want = 90 * time.Second
		case name == "longer than ever":
			want = time.Hour
		}
		first, second := Report(), Report()
		if e := retryError(s.Handle(t.Context(), first)); e == nil || e.RetryAfter() != want {
			t.Errorf("%s: %v, not to come again in %v", name, e, want)
		}
		s.Answer(Status(200))
		if want > s.Config.RetryFirst {
			s.Wait(want - time.Millisecond)
			if err := s.Handle(t.Context(), first); retryError(err) == nil || len(s.Posts()) != 1 {
				t.Errorf("%s: posted before its time: %v", name, err)
			}
			if err := s.Handle(t.Context(), second); retryError(err) == nil || len(s.Posts()) != 1 {
				t.Errorf("%s: another report was posted before its time: %v", name, err)
			}
		}
		s.Wait(want)
		if err := errors.Join(s.Handle(t.Context(), first), s.Handle(t.Context(), second)); err != nil {
			t.Errorf("%s: not told when its time came: %v", name, err)
		}
	}
}

// redirects are never followed: address and message are not for whom an answer names.
func redirects(t *testing.T, start start) {
	var elsewhere atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer thief.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := start()
		s.Answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL+"/", code) })
		if err := s.Handle(t.Context(), Report()); err != nil {
			t.Errorf("%d: %v", code, err)
		}
		if !strings.Contains(s.KV.Dump(), `"reason":"redirected"`) || s.Count("gave_up_total") != 1 {
			t.Errorf("%d was not given up as redirected: %s", code, s.KV.Dump())
		}
	}
	if elsewhere.Load() != 0 {
		t.Errorf("%d redirects were followed", elsewhere.Load())
	}
}

// toldOnce: what was told is not told again, nor after a restart.
func toldOnce(t *testing.T, start start) {
	s := start()
	r := Report()
	for range 3 {
		if err := s.Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Count("repeats_total"); n != 2 {
		t.Errorf("counted %v repeats", n)
	}
	s.Restart()
	if err := s.Handle(t.Context(), r); err != nil || len(s.Posts()) != 1 {
		t.Errorf("posted %d times, %v", len(s.Posts()), err)
	}
}

// replicas that get the same report at the same time tell it once.
func replicas(t *testing.T, start start) {
	s := start()
	first := s.Notifier
	s.Restart()
	r := Report()
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { _ = first.Handle(t.Context(), r) })
		all.Go(func() { _ = s.Handle(t.Context(), r) })
	}
	all.Wait()
	if n := len(s.Posts()); n != 1 {
		t.Errorf("posted %d times", n)
	}
	if err := s.Handle(t.Context(), r); err != nil {
		t.Errorf("not told in the end: %v", err)
	}
}

// crash: a post whose end could not be recorded is made again, under the same ID, counted.
func crash(t *testing.T, start start) {
	s := start()
	s.Answer(func(http.ResponseWriter, *http.Request) { s.KV.Break(errors.New("away")) })
	r := Report()
	if err := s.Handle(t.Context(), r); err == nil {
		t.Fatal("its end was not recorded, and that is called told")
	}
	s.KV.Break(nil)
	s.Answer(Status(200))
	s.Restart()
	if err := s.Handle(t.Context(), r); retryError(err) == nil || len(s.Posts()) != 1 {
		t.Errorf("posted again at once, though another replica may be at it: %v", err)
	}
	s.Wait(time.Minute)
	if err := s.Handle(t.Context(), r); err != nil {
		t.Error(err)
	}
	posts := s.Posts()
	if len(posts) != 2 || posts[0].Header.Get(notify.HeaderReport) != posts[1].Header.Get(notify.HeaderReport) {
		t.Fatalf("posts: %v", posts)
	}
	if n := s.Count("possible_duplicates_total"); n != 1 {
		t.Errorf("counted %v possible duplicates", n)
	}
}

// cut: a post that is cut off because the program stops is neither told nor failed.
func cut(t *testing.T, start start) {
	s := start()
	ctx, stop := context.WithCancel(t.Context())
	s.Answer(func(_ http.ResponseWriter, r *http.Request) { stop(); <-r.Context().Done() })
	r := Report()
	if err := s.Handle(ctx, r); retryError(err) == nil {
		t.Errorf("%v", err)
	}
	s.Answer(Status(200))
	s.Wait(time.Minute)
	if err := s.Handle(t.Context(), r); err != nil || s.Count("possible_duplicates_total") != 1 {
		t.Errorf("afterwards: %v", err)
	}
}

// givesUp: after long enough, with growing pauses until then.
func givesUp(t *testing.T, start start) {
	s := start()
	s.Answer(Status(500))
	r, began := Report(), s.Now()
	var pauses []time.Duration
	for {
		e := retryError(s.Handle(t.Context(), r))
		if e == nil {
			break
		}
		if len(pauses) > 1000 {
			t.Fatal("never given up")
		}
		pauses = append(pauses, e.RetryAfter())
		s.Wait(e.RetryAfter())
	}
	if took := s.Now().Sub(began); took < s.Config.GiveUpAfter || took > s.Config.GiveUpAfter+s.Config.RetryMost {
		t.Errorf("given up after %v", took)
	}
	if want := []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second}; fmt.Sprint(pauses[:3]) != fmt.Sprint(want) {
		t.Errorf("first pauses: %v, not %v", pauses[:3], want)
	}
	if last := pauses[len(pauses)-1]; last != s.Config.RetryMost {
		t.Errorf("last pause: %v", last)
	}
	if err := s.Handle(t.Context(), r); err != nil || s.Count("gave_up_total") != 1 || !strings.Contains(s.KV.Dump(), "gave_up") {
		t.Errorf("%v, %s", err, s.KV.Dump())
	}
}

// atOnce: no more posts at the same time than allowed.
func atOnce(t *testing.T, start start) {
	s := start()
	s.Config.AtOnce = 2
	s.Restart()
	var running, most atomic.Int32
	full := make(chan struct{})
	s.Answer(func(http.ResponseWriter, *http.Request) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		if running.Load() == 2 {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-full
		running.Add(-1)
	})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.Handle(t.Context(), Report()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most.Load() != 2 {
		t.Errorf("%d at once", most.Load())
	}
}

// busy: a receiver that lets its posts hang holds up no report but those that hang.
func busy(t *testing.T, start start) {
	s := start()
	s.Config.AtOnce = 1
	s.Restart()
	posted, answer := make(chan struct{}), make(chan struct{})
	s.Answer(func(http.ResponseWriter, *http.Request) { close(posted); <-answer })
	hangs := make(chan error, 1)
	go func() { hangs <- s.Handle(t.Context(), Report()) }()
	<-posted
	late, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	if err := s.Handle(late, Report()); retryError(err) == nil || late.Err() != nil {
		t.Errorf("while another hangs: %v", err)
	}
	close(answer)
	if err := <-hangs; err != nil || len(s.Posts()) != 1 {
		t.Errorf("the one that hung: %v, %d posts", err, len(s.Posts()))
	}
}

// secrets: neither address nor token are seen anywhere, whatever goes wrong.
func secrets(t *testing.T, start start) {
	echo := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", r.URL.String())
			w.WriteHeader(code)
			fmt.Fprintf(w, "no such hook %s (http://%s%s), token %s", r.URL, r.Host, r.URL, r.Header.Get("Authorization"))
		}
	}
	for name, prepare := range map[string]func(*Scene){
		"told":           func(*Scene) {},
		"echoed, 404":    func(s *Scene) { s.Answer(echo(404)) },
		"echoed, 500":    func(s *Scene) { s.Answer(echo(500)) },
		"redirected":     func(s *Scene) { s.Answer(echo(302)) },
		"hangs up":       func(s *Scene) { s.Answer(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }) },
		"nobody listens": func(s *Scene) { s.Server.Close() },
		"not a URL":      func(s *Scene) { s.Config.Receivers[0].URLFile = s.File("http://x:notaport" + SecretPath); s.Restart() },
		"another scheme": func(s *Scene) { s.Config.Receivers[0].URLFile = s.File("gopher://x" + SecretPath); s.Restart() },
		"bad token":      func(s *Scene) { s.Config.Receivers[0].BearerFile = s.File(Token + "\x00\n"); s.Restart() },
	} {
		s := start()
		prepare(s)
		err := s.Handle(t.Context(), Report())
		seen := fmt.Sprint(err) + s.KV.Dump()
		for _, l := range s.Logs.All() {
			seen += l.Message + fmt.Sprint(l.ContextMap())
		}
		if strings.Contains(seen, "SECRET") {
			t.Errorf("%s: a secret was seen: %s", name, seen)
		}
	}
}

// rotation: a new address is used without a restart.
func rotation(t *testing.T, start start) {
	s := start()
	s.Config.Receivers[0].URLFile = "/nonexistent/file"
	s.Restart()
	r := Report()
	if err := s.Handle(t.Context(), r); retryError(err) == nil {
		t.Errorf("no file: %v", err)
	}
	s.Config.Receivers[0].URLFile = s.File(s.Server.URL)
	s.Restart()
	s.Wait(time.Hour)
	if err := s.Handle(t.Context(), r); err != nil || len(s.Posts()) != 1 {
		t.Errorf("with a file: %v", err)
	}
}
