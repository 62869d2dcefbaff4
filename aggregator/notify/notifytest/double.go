package notifytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gopprof/gopprof/aggregator/notify"
)

// SignSecret is the secret that messages are signed with: it must never be seen anywhere.
const SignSecret = "SECsignSECRET0123456789"

// Double is a strict local copy of a channel's documented API.
type Double struct {
	Channel string
	Poster  notify.Poster
	// OK is the body of the answer to a message that was taken, with Status (0 is 200).
	OK     string
	Status int
	// Signed tells that the API has signatures; Check looks at them.
	Signed bool
	// Check says what the API would refuse: signature, size, media type, a field that is
	// missing or of the wrong kind.
	Check func(r Request) error
	// Markup finds what is not the channel's own in a body: a link, mention, tag or emphasis
	// that came with a foreign text.
	Markup func(body string) error
	// Answers are those with status 200 or another, and what they mean.
	Answers []Said
	// Words tells that a message about a report says in words what is in it; else the words
	// are those of a program.
	Words bool
}

// Said is an answer and what it means.
type Said struct {
	Status int
	Body   string
	Header http.Header
	Told   bool
	Retry  bool
	After  time.Duration
}

// RunPoster checks a channel against the double of its API.
func RunPoster(t *testing.T, d Double) {
	if d.Status == 0 {
		d.Status = http.StatusOK
	}
	t.Run("Shapes", d.shapes)
	t.Run("HostileNames", d.hostileNames)
	t.Run("Statuses", d.statuses)
	t.Run("Answers", d.answers)
	t.Run("Secrets", d.secrets)
	t.Run("Template", d.template)
}

// start returns a scene whose receiver is the double.
func (d Double) start(t *testing.T) *Scene {
	s := Start(t, d.Channel, notify.Channels{Posters: map[string]notify.Poster{d.Channel: d.Poster}})
	if d.Signed {
		s.Config.Receivers[0].SignFile = s.File(SignSecret + "\n")
		s.Restart()
	}
	s.Answer(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(d.Status)
		_, _ = io.WriteString(w, d.OK)
	})
	return s
}

// send brings a message and returns what the API got.
func (d Double) send(t *testing.T, s *Scene, m notify.Message) (Request, notify.Outcome) {
	t.Helper()
	s.Wait(time.Hour) // no pace is in the way
	out, err := s.Deliver(t.Context(), "ops", m)
	if err != nil {
		t.Fatal(err)
	}
	posts := s.Posts()
	if len(posts) == 0 {
		t.Fatalf("nothing was posted: %+v", out)
	}
	return posts[len(posts)-1], out
}

// shapes: every kind of message, small and as large as it gets, is one that the API takes.
func (d Double) shapes(t *testing.T) {
	s := d.start(t)
	for name, m := range Messages() {
		got, out := d.send(t, s, m)
		if err := d.Check(got); err != nil || out.Reason != "" {
			t.Errorf("%s: %v, %+v\n%s", name, err, out, got.Body)
		}
		if id := got.Header.Get(notify.HeaderIdempotency); id != m.ID {
			t.Errorf("%s: Idempotency-Key %q, not %q", name, id, m.ID)
		}
		if err := d.Markup(got.Body); err != nil {
			t.Errorf("%s: %v\n%s", name, err, got.Body)
		}
	}
	got, _ := d.send(t, s, notify.One(notify.ItemOf(Report()), s.Now()))
	for _, want := range []string{"shop", "web-7d4b9c-hot01", "93 %", "burns 61 %", "code_hot", "/reports/", "/drawings/cpu", "kubectl gopprof open"} {
		if !strings.Contains(got.Body, want) {
			t.Errorf("the message does not say %q:\n%s", want, got.Body)
		}
	}
}

// hostileNames: whatever a profiled program calls itself means nothing in the channel.
func (d Double) hostileNames(t *testing.T) {
	s := d.start(t)
	for _, name := range names() {
		for _, m := range hostileMessages(name, s.Now()) {
			got, out := d.send(t, s, m)
			if err := d.Check(got); err != nil || out.Reason != "" {
				t.Errorf("%.40q: %v, %+v\n%.2000s", name, err, out, got.Body)
			}
			if err := d.Markup(got.Body); err != nil {
				t.Errorf("%.40q: %v\n%.2000s", name, err, got.Body)
			}
		}
	}
}

// FuzzPoster holds a channel to what RunPoster holds it to, for any name, without a server.
// The names are short: the fuzzer's time is for shapes, and RunPoster has the long ones.
func FuzzPoster(f *testing.F, d Double) {
	const most = 500
	for _, name := range names() {
		if len(name) <= most {
			f.Add(name)
		}
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	l := notify.Letter{To: notify.Receiver{Name: "ops", Channel: d.Channel}, Now: at}
	if d.Signed {
		l.Sign = notify.NewSecret(SignSecret)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if len(name) > most {
			return
		}
		for _, m := range hostileMessages(name, at) {
			l.Message = m
			p, err := d.Poster.Write(l)
			if err != nil {
				t.Fatal(err)
			}
			query := url.Values{"k": {"of the URL"}}
			maps.Copy(query, p.Query)
			r := Request{Header: http.Header{"Content-Type": {p.ContentType}}, Path: p.Path, Query: query, Body: string(p.Body), Now: at}
			if err := errors.Join(d.Check(r), d.Markup(r.Body)); err != nil {
				t.Errorf("%v\n%s", err, r.Body)
			}
		}
	})
}

// statuses: 2xx is told; 408, 425, 429 and 5xx are tried again; everything else is given up.
func (d Double) statuses(t *testing.T) {
	s := d.start(t)
	m := notify.One(notify.ItemOf(Report()), s.Now())
	for code := 200; code < 600; code++ {
		s.Answer(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			if code < 300 && code != http.StatusNoContent {
				_, _ = io.WriteString(w, d.OK)
			}
		})
		_, out := d.send(t, s, m)
		if code == http.StatusNoContent || code == http.StatusResetContent {
			continue // no body, which some APIs never do
		}
		told, again := code < 300, code == 408 || code == 425 || code == 429 || code >= 500
		if told != (out.Reason == "") || again != out.Retry {
			t.Errorf("%d: %+v", code, out)
		}
	}
	s.Answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "77")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	if _, out := d.send(t, s, m); !out.Retry || out.After != 77*time.Second {
		t.Errorf("429 with Retry-After: %+v", out)
	}
}

// answers: what the API says in words or codes counts, whatever the status.
func (d Double) answers(t *testing.T) {
	s := d.start(t)
	for _, a := range d.Answers {
		s.Answer(func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range a.Header {
				w.Header()[name] = values
			}
			w.WriteHeader(a.Status)
			_, _ = io.WriteString(w, a.Body)
		})
		_, out := d.send(t, s, notify.One(notify.ItemOf(Report()), s.Now()))
		if (out.Reason == "") != a.Told || out.Retry != a.Retry || out.After != a.After {
			t.Errorf("%d %s: %+v", a.Status, a.Body, out)
		}
	}
}

// secrets: neither address nor token nor the secret of signatures is seen in an outcome.
func (d Double) secrets(t *testing.T) {
	s := d.start(t)
	sign := ""
	if d.Signed { // others never learn it
		sign = SignSecret
	}
	for _, code := range []int{200, 302, 400, 404, 429, 500} {
		s.Answer(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", r.URL.String())
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"errcode":1,"code":1,"errmsg":"no hook %s http://%s%s, %s, %s"}`, r.URL, r.Host, r.URL, r.Header.Get("Authorization"), sign)
			for segment := range strings.SplitSeq(r.URL.Path, "/") {
				fmt.Fprintf(w, " %s.", segment)
			}
			fmt.Fprintf(w, " %s", r.URL.Query()["k"])
		})
		_, out := d.send(t, s, notify.One(notify.ItemOf(Report()), s.Now()))
		if seen := fmt.Sprintf("%+v %s", out, s.KV.Dump()); strings.Contains(seen, "SECRET") {
			t.Errorf("%d: a secret was seen: %s", code, seen)
		}
	}
	for _, p := range s.Posts() {
		if strings.Contains(p.Body, "SECRET") {
			t.Errorf("a secret was posted: %s", p.Body)
		}
	}
}

// template: a receiver's own words, escaped as ours are.
func (d Double) template(t *testing.T) {
	s := d.start(t)
	s.Config.Receivers[0].Template = "{{with (index .Parts 0).Items}}{{(index . 0).Owner}} has work: {{(index . 0).Pod}}{{end}}\nsecond line"
	s.Restart()
	for _, name := range []string{"web-1", "<!channel>", "[a](https://evil.example)", strings.Repeat("x&<", 300)} {
		m := notify.One(notify.ItemOf(Hostile(name)), s.Now())
		got, out := d.send(t, s, m)
		if d.Channel == notify.ChannelWebhook {
			if !strings.Contains(got.Body, " has work: ") || strings.Contains(got.Body, "specversion") {
				t.Errorf("body: %s", got.Body)
			}
			continue
		}
		if err := d.Check(got); err != nil || out.Reason != "" {
			t.Errorf("%.40q: %v, %+v", name, err, out)
		}
		if err := d.Markup(got.Body); err != nil {
			t.Errorf("%.40q: %v", name, err)
		}
		if !strings.Contains(got.Body, "has work: ") || !strings.Contains(got.Body, "second line") {
			t.Errorf("%.40q: the words of the template are not there:\n%.2000s", name, got.Body)
		}
	}
}

// OneLine tells what is wrong with a text that people see: too long, empty, or with
// characters that are not to be seen.
func OneLine(what, s string, most int) error {
	if n := utf8.RuneCountInString(s); n == 0 || n > most {
		return fmt.Errorf("%s: %d characters of %d", what, n, most)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\u200b' && !unicode.IsPrint(r) }) {
		return fmt.Errorf("%s: not printable: %q", what, s)
	}
	return nil
}

// JSON is a request whose body is JSON of at most so many bytes.
func JSON(r Request, most int) error {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return fmt.Errorf("content type %q", r.Header.Get("Content-Type"))
	}
	if len(r.Body) > most {
		return fmt.Errorf("%d bytes of %d", len(r.Body), most)
	}
	if !utf8.ValidString(r.Body) || bytes.ContainsRune([]byte(r.Body), 0) {
		return fmt.Errorf("not UTF-8")
	}
	return nil
}

// Decode reads a body into v, and takes no field that v does not know.
func Decode(body string, v any) error {
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more behind the message")
	}
	return nil
}

// Link tells what is wrong with the address of a link.
func Link(address string) error {
	for _, host := range []string{"https://gopprof.example/", "https://links.example/"} {
		if strings.HasPrefix(address, host) && !strings.ContainsAny(address, " <>|()[]\"'`") {
			return nil
		}
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(address, " <>|()\"'`") {
		return fmt.Errorf("a link to %q", address)
	}
	return nil
}
