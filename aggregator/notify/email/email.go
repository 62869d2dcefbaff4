// Package email brings a message to people by SMTP (RFC 5321): a text and an HTML
// alternative, the use of the last minutes as a picture inside the HTML, and the drawings
// attached. A letter enters, one SMTP conversation leaves.
//
// Mail readers show no SVG (Gmail and Outlook take it out), and there is nothing at hand that
// makes pixels of one. So the picture inside is a PNG that is drawn here from the figures
// themselves, and evidence and call graph go along as attachments (SVG, for a browser), as
// long as they are small. net/smtp is enough for all that: it is frozen, not unkept, and its
// authentication refuses to send a password in the clear.
//
// The password must never be in an error or a log, nor leave without TLS; names from profiled
// programs must never end a header or become HTML.
package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Files reads pictures from the store.
type Files func(ctx context.Context, key string) ([]byte, error)

// Channel is the channel.
type Channel struct {
	Files Files // nil: nothing is attached
}

// Send implements notify.Sender.
func (c Channel) Send(ctx context.Context, l notify.Letter) notify.Outcome {
	message, err := c.write(ctx, l)
	if err != nil {
		return notify.Outcome{Reason: gopprof.ReasonBadInput, Detail: "writing the message: " + err.Error()}
	}
	e := &envelope{to: recipients(l)}
	if len(e.to) == 0 {
		return notify.Outcome{Reason: gopprof.ReasonGone, Detail: "none of the recipients who did not get it is in the configuration any more"}
	}
	err = deliver(ctx, l, e, message)
	return e.outcome(ctx, len(l.Left) > 0, err)
}

// recipients are the addresses that a letter goes to.
func recipients(l notify.Letter) []string {
	var all []string
	for _, to := range l.To.Email.To {
		if a := notify.MailAddress(to); len(l.Left) == 0 || slices.Contains(l.Left, a) {
			all = append(all, a)
		}
	}
	return all
}

// deliver has the conversation.
func deliver(ctx context.Context, l notify.Letter, e *envelope, message []byte) error {
	mail := l.To.Email
	config, err := tlsConfig(mail)
	if err != nil {
		return &permanent{err}
	}
	client, closer, err := dial(ctx, mail, config)
	if err != nil {
		return err
	}
	defer closer()
	if err := client.Hello(helloName()); err != nil {
		return err
	}
	if err := secure(client, mail, config); err != nil {
		return err
	}
	if err := authenticate(client, mail, l.Sign.Reveal()); err != nil {
		return err
	}
	if err := e.address(client, mail.Sender()); err != nil {
		return err
	}
	if err := data(client, message); err != nil {
		return err
	}
	_ = client.Quit()
	return nil
}

func data(client *smtp.Client, message []byte) error {
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	return w.Close() // the server took it, or did not
}

// mostSaid is how many bytes a server may say in one conversation: far more than the longest
// answer to each of a thousand recipients.
const mostSaid = 1 << 20

// bounded is a connection whose other end may say so much: net/smtp keeps what it is told,
// however long a line or an answer is.
type bounded struct {
	net.Conn
	left int
}

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, fmt.Errorf("the server says more than %d bytes", mostSaid)
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// dial connects. The connection ends with ctx, whatever is being waited for.
func dial(ctx context.Context, mail notify.Email, config *tls.Config) (*smtp.Client, func(), error) {
	tcp, err := (&net.Dialer{}).DialContext(ctx, "tcp", mail.Server)
	if err != nil {
		return nil, nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		_ = tcp.SetDeadline(end)
	}
	stop := context.AfterFunc(ctx, func() { _ = tcp.Close() })
	closer := func() { stop(); _ = tcp.Close() }
	var conn net.Conn = &bounded{tcp, mostSaid}
	if mail.TLS == notify.TLSAlways {
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			closer()
			return nil, nil, err
		}
		conn = secured
	}
	client, err := smtp.NewClient(conn, config.ServerName)
	if err != nil {
		closer()
		return nil, nil, err
	}
	return client, closer, nil
}

// secure goes over to TLS, unless that is done or not wanted. A server that cannot is never
// told anything in the clear.
func secure(client *smtp.Client, mail notify.Email, config *tls.Config) error {
	if mail.TLS == notify.TLSAlways || mail.TLS == notify.TLSNever {
		return nil
	}
	if ok, _ := client.Extension("STARTTLS"); !ok {
		return &permanent{errors.New("the server offers no STARTTLS")}
	}
	return client.StartTLS(config)
}

func authenticate(client *smtp.Client, mail notify.Email, password string) error {
	if mail.User == "" {
		return nil
	}
	host, _, _ := net.SplitHostPort(mail.Server)
	ok, offered := client.Extension("AUTH")
	if !ok {
		return &permanent{errors.New("the server offers no authentication")}
	}
	auth := smtp.PlainAuth("", mail.User, password, host)
	if !strings.Contains(" "+strings.ToUpper(offered)+" ", " PLAIN ") {
		auth = &login{mail.User, password}
	}
	return client.Auth(auth)
}

// login is the AUTH LOGIN of older servers, over TLS only.
type login struct{ user, password string }

// Start implements smtp.Auth.
func (a *login) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS {
		return "", nil, errors.New("unencrypted connection")
	}
	return "LOGIN", nil, nil
}

// Next implements smtp.Auth.
func (a *login) Next(asked []byte, more bool) ([]byte, error) {
	switch {
	case !more:
		return nil, nil
	case strings.HasPrefix(strings.ToLower(string(asked)), "user"):
		return []byte(a.user), nil
	case strings.HasPrefix(strings.ToLower(string(asked)), "pass"):
		return []byte(a.password), nil
	}
	return nil, errors.New("the server asks for neither user nor password")
}

func tlsConfig(mail notify.Email) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(mail.Server)
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if err != nil || mail.CAFile == "" {
		return config, err
	}
	pem, err := os.ReadFile(mail.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in the authority's file")
	}
	return config, nil
}

// permanent is a failure that the same configuration will meet again.
type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

// classify says what a failure means: the codes 4xx may pass, 5xx will not (RFC 5321,
// 4.2.1); of what went wrong before any code, everything may.
func classify(ctx context.Context, err error) notify.Outcome {
	var code *textproto.Error
	switch {
	case errors.As(err, &code) && code.Code >= 500:
		return notify.Refused(fmt.Sprintf("SMTP %d: %s", code.Code, code.Msg))
	case errors.As(err, &code):
		return notify.Busy(fmt.Sprintf("SMTP %d: %s", code.Code, code.Msg), 0)
	}
	if p, ok := errors.AsType[*permanent](err); ok {
		return notify.Outcome{Reason: gopprof.ReasonBadInput, Detail: p.Error(), Retry: true}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return notify.ClassifyError(err)
}

func helloName() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}

// stamp is a date as mail has it.
func stamp(t time.Time) string { return t.Format("Mon, 02 Jan 2006 15:04:05 -0700") }
