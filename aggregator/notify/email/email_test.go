package email_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/email"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	corpus "github.com/gopprof/gopprof/test/hostile"
)

const secretPassword = "passSECRETword"

// scene is a notifier whose receiver gets mail by the server.
func scene(t *testing.T, s *server, change func(*notify.Email)) *notifytest.Scene {
	files := func(_ context.Context, key string) ([]byte, error) {
		if key == "k/cpu.svg" {
			return []byte("<svg>" + strings.Repeat("x", 2000) + "</svg>"), nil
		}
		return nil, errors.New("not there")
	}
	scene := notifytest.Start(t, notify.ChannelEmail, notify.Channels{Senders: map[string]notify.Sender{notify.ChannelEmail: email.Channel{Files: files}}})
	e := notify.Email{Server: s.addr, CAFile: s.ca, From: "gopprof <gopprof@example.com>", To: []string{"Ada <ada@example.com>", "bob@example.com"}, User: "gopprof", PasswordFile: scene.File(secretPassword + "\n")}
	if s.always {
		e.TLS = notify.TLSAlways
	}
	if change != nil {
		change(&e)
	}
	scene.Config.Receivers[0] = notify.Receiver{Name: "ops", Channel: notify.ChannelEmail, Email: e}
	scene.Config.Timeout = time.Minute
	scene.Restart()
	return scene
}

func send(t *testing.T, s *notifytest.Scene, m notify.Message) notify.Outcome {
	t.Helper()
	out, err := s.Deliver(t.Context(), "ops", m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func one(r gopprof.Report) notify.Message { return notify.One(notify.ItemOf(r), time.Unix(0, 0)) }

func TestMailIsTaken(t *testing.T) {
	for name, change := range map[string]func(*server){
		"STARTTLS, PLAIN": func(*server) {}, "TLS": func(s *server) { s.always = true }, "LOGIN": func(s *server) { s.mechs = "LOGIN" },
	} {
		s := startServer(t, change)
		if out := send(t, scene(t, s, nil), one(notifytest.Report())); out.Reason != "" {
			t.Errorf("%s: %+v", name, out)
			continue
		}
		m := s.got()[0]
		if !strings.HasPrefix(m.from, "MAIL FROM:<gopprof@example.com>") || fmt.Sprint(m.to) != "[RCPT TO:<ada@example.com> RCPT TO:<bob@example.com>]" {
			t.Errorf("%s: %q %q", name, m.from, m.to)
		}
		if strings.Contains(s.clear, "AUTH") || strings.Contains(s.clear, "MAIL") {
			t.Errorf("%s: in the clear: %s", name, s.clear)
		}
	}
}

func TestWithoutTLS(t *testing.T) {
	s := startServer(t, func(s *server) { s.plain = true })
	if out := send(t, scene(t, s, nil), one(notifytest.Report())); !strings.Contains(out.Detail, "STARTTLS") || !out.Retry || len(s.got()) != 0 || strings.Contains(s.clear, "MAIL") {
		t.Errorf("%+v, %s", out, s.clear)
	}
	local := func(e *notify.Email) { e.TLS, e.User, e.PasswordFile = notify.TLSNever, "", "" }
	if out := send(t, scene(t, s, local), one(notifytest.Report())); out.Reason != "" || len(s.got()) != 1 {
		t.Errorf("%+v", out)
	}
}

// A server that is not the one meant gets nothing.
func TestAnotherCertificate(t *testing.T) {
	s, other := startServer(t, func(*server) {}), startServer(t, func(*server) {})
	out := send(t, scene(t, s, func(e *notify.Email) { e.CAFile = other.ca }), one(notifytest.Report()))
	if !out.Retry || len(s.got()) != 0 || s.password != "" {
		t.Errorf("%+v", out)
	}
}

// 4xx is tried again, 5xx is not, and neither repeats the password.
func TestAnswers(t *testing.T) {
	for verb, answers := range map[string]map[string]bool{
		"MAIL": {"421 4.3.2 later": true, "451 4.7.1 greylisted": true, "550 5.7.1 no": false},
		"RCPT": {"450 4.2.1 full": true, "550 5.1.1 nobody": false}, "DATA": {"452 4.3.1 no room": true, "554 5.6.0 no": false},
		"END": {"451 4.3.0 later": true, "552 5.3.4 too big": false, "554 5.7.1 spam": false}, "AUTH": {"454 4.7.0 later": true, "535 5.7.8 bad " + secretPassword: false},
	} {
		for answer, retry := range answers {
			s := startServer(t, func(s *server) { s.fail[verb] = answer })
			out := send(t, scene(t, s, nil), one(notifytest.Report()))
			if out.Retry != retry || out.Reason != gopprof.ReasonStatus || len(s.got()) != 0 || strings.Contains(out.Detail, "SECRET") {
				t.Errorf("%s → %s: %+v", verb, answer, out)
			}
		}
	}
}

// Somebody who has left does not keep the mail from the others.
func TestOneRecipientHasLeft(t *testing.T) {
	s := startServer(t, func(s *server) { s.gone = "bob@" })
	out := send(t, scene(t, s, nil), one(notifytest.Report()))
	if out.Reason != "" || !strings.Contains(out.Detail, "bob@example.com is refused: 550") || len(s.got()) != 1 || len(s.got()[0].to) != 1 {
		t.Errorf("%+v, %v", out, s.got())
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().String()}
	hangs := scene(t, s, nil) // accepted by the kernel, never answered
	hangs.Config.Timeout = 100 * time.Millisecond
	hangs.Restart()
	if out := send(t, hangs, one(notifytest.Report())); !out.Retry || out.Reason != gopprof.ReasonTimeout {
		t.Errorf("%+v", out)
	}
	l.Close()
	if out := send(t, scene(t, s, nil), one(notifytest.Report())); !out.Retry || out.Reason != gopprof.ReasonUnreachable {
		t.Errorf("%+v", out)
	}
}

// parts reads a mail as a reader does: every part by its type.
func parts(t *testing.T, data string) (mail.Header, map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	walk(t, m.Header.Get("Content-Type"), m.Body, out)
	return m.Header, out
}

func walk(t *testing.T, contentType string, body io.Reader, out map[string]string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(body, params["boundary"])
	for {
		p, err := r.NextPart() // undoes quoted-printable
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if inner := p.Header.Get("Content-Type"); strings.HasPrefix(inner, "multipart/") {
			walk(t, inner, p, out)
			continue
		}
		data, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		inner, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		out[inner] += string(data)
	}
}

func TestContent(t *testing.T) {
	r := notifytest.Report()
	r.Capture.History.Local = history()
	r.Picture = "k/missing.svg"
	s := startServer(t, func(*server) {})
	if out := send(t, scene(t, s, nil), one(r)); out.Reason != "" {
		t.Fatalf("%+v", out)
	}
	header, all := parts(t, s.got()[0].data)
	for _, line := range strings.Split(s.got()[0].data, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if subject, _ := new(mime.WordDecoder).DecodeHeader(header.Get("Subject")); subject != "[gopprof] shop/web-7d4b9c-hot01: cpu at 93 % of its limit" {
		t.Errorf("subject %q", subject)
	}
	if _, err := header.Date(); err != nil || header.Get("Message-Id") == "" || header.Get("Auto-Submitted") != "auto-generated" || header.Get("Gopprof-Report") != r.ID {
		t.Errorf("%v, %v", err, header)
	}
	for _, want := range []string{"burns 61 %", "code_hot, sure", "https://gopprof.example/reports/" + r.ID, "kubectl gopprof open " + r.ID, "team-shop"} {
		if !strings.Contains(all["text/plain"], want) || !strings.Contains(all["text/html"], want) {
			t.Errorf("%q is in one of the two at most", want)
		}
	}
	if !strings.Contains(all["text/html"], `src="cid:heat@gopprof"`) || !strings.Contains(all["image/svg+xml"], "PHN2Zz") {
		t.Error("the picture is not shown, or the call graph not attached")
	}
	picture, err := png.Decode(base64Reader(all["image/png"]))
	if err != nil || picture.Bounds().Dx() != 640 {
		t.Errorf("%v", err)
	}
}

func history() []gopprof.Point {
	var all []gopprof.Point
	for k := range 200 {
		all = append(all, gopprof.Point{HasCPU: true, CPUCores: float64(k) / 150, CPULimitCores: 1})
	}
	return all
}

func base64Reader(s string) io.Reader { return newDecoder(bytes.NewReader([]byte(s))) }

// Names from profiled programs end no header and become no HTML.
func TestHostileNames(t *testing.T) {
	s := startServer(t, func(*server) {})
	scene := scene(t, s, nil)
	for k, name := range append([]string{"x\r\nBcc: evil@evil.example\r\n\r\n<b>", "<script>alert(1)</script>", "\" onload=x \"", "\r\n.\r\nQUIT\r\n", strings.Repeat("漢", 9000), "=?utf-8?q?x?="}, corpus.Names()...) {
		if out := send(t, scene, one(notifytest.Hostile(name))); out.Reason != "" {
			t.Fatalf("%q: %+v", name, out)
		}
		header, all := parts(t, s.got()[k].data)
		if header.Get("Bcc") != "" || len(header) != 10 && len(header) != 11 {
			t.Errorf("%.40q: headers %v", name, header)
		}
		harmless(t, name, all["text/html"])
	}
}

var (
	tag  = regexp.MustCompile(`<[^>]*>`)
	ours = regexp.MustCompile(`^</?(!doctype html|html|body|h2|p|ul|li|table|tr|td|pre|code)( style="[a-z0-9:;#. -]*")?>$`)
	link = regexp.MustCompile(`^<a href="([^"]*)">$`)
)

// harmless finds no tag that is not ours.
func harmless(t *testing.T, name, page string) {
	t.Helper()
	for _, found := range tag.FindAllString(page, -1) {
		if l := link.FindStringSubmatch(found); l != nil && notifytest.Link(html.UnescapeString(l[1])) == nil || found == "</a>" || ours.MatchString(found) {
			continue
		}
		t.Errorf("%.40q: %s", name, found)
	}
}

func TestEveryKindOfMessage(t *testing.T) {
	s := startServer(t, func(*server) {})
	scene := scene(t, s, nil)
	for name, m := range notifytest.Messages() {
		if out := send(t, scene, m); out.Reason != "" {
			t.Errorf("%s: %+v", name, out)
		}
		all := s.got()
		if _, body := parts(t, all[len(all)-1].data); body["text/plain"] == "" || body["text/html"] == "" {
			t.Errorf("%s: an empty mail", name)
		}
	}
}
