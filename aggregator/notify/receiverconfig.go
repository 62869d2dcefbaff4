package notify

import (
	"net"
	"net/mail"
	"slices"
	"strconv"
	"strings"

	"github.com/gopprof/gopprof/pkg/config"
)

// Receiver is one place that messages go to.
type Receiver struct {
	// Name is what routes call it: lower-case letters, digits and dashes. Renaming a receiver
	// tells it again what was told under its old name lately, and what still waits to be told
	// under its old name is given up after give_up_after.
	Name string `yaml:"name"`
	// Channel is the format: webhook (each report as a CloudEvent in JSON), slack (Slack's
	// incoming webhooks, and what understands their format), dingtalk, feishu (and Lark), wecom,
	// teams (workflows), email or alertmanager (its v2 API). docs/notify.md has an example of
	// each.
	Channel string `yaml:"channel"`
	// URL is where to post to, when the address is no secret. Redirects are not followed.
	URL string `yaml:"url"`
	// URLFile holds the URL when the address is the secret, as with Slack and every other chat.
	// It is read at each post.
	URLFile config.SecretFile `yaml:"url_file"`
	// BearerFile holds a token to send as "Authorization: Bearer …"; none when empty.
	BearerFile config.SecretFile `yaml:"bearer_file"`
	// SignFile holds the secret that messages are signed with: of a webhook the receiver's own
	// (header Gopprof-Signature), of dingtalk and feishu the robot's. Not signed when empty.
	SignFile config.SecretFile `yaml:"sign_file"`
	// Template writes the words of a message instead of gopprof: a text/template over .Title,
	// .Lines, .Links and .Parts (docs/notify.md). What it writes is shown as plain text; of a
	// webhook it is the whole body, and reports are then told in groups.
	Template string `yaml:"template"`
	// Email is who gets mail by which server; of channel email.
	Email Email `yaml:"email"`
}

// How a mail server is talked to.
const (
	TLSStart  = "starttls"
	TLSAlways = "tls"
	TLSNever  = "none"
)

// Email is who gets mail by which server.
type Email struct {
	// Server is the mail server's host and port: port 587 for starttls, 465 for tls.
	Server string `yaml:"server"`
	// TLS is starttls (encrypted after a greeting, or nothing is sent), tls (encrypted from the
	// start) or none, for a server on this host. Empty is starttls.
	TLS string `yaml:"tls"`
	// CAFile holds the authority that the server's certificate is from; empty is the system's.
	CAFile string `yaml:"ca_file"`
	// From is who it is from: an address, or "Name <address>".
	From string `yaml:"from"`
	// To are those who get it, each apart from the others: one whom the server puts off or refuses
	// keeps it from nobody else.
	To []string `yaml:"to"`
	// User is whom to log in as; nobody when empty. The password is sent over TLS only, and to
	// this host.
	User string `yaml:"user"`
	// PasswordFile holds the user's password. It is read at each mail.
	PasswordFile config.SecretFile `yaml:"password_file"`
}

// Sender is the address that mail is from.
func (e Email) Sender() string { return MailAddress(e.From) }

// MailAddress returns the address alone of "Name <address>".
func MailAddress(s string) string {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return ""
	}
	return a.Address
}

// secretFile is the secret that the receiver's channel works with beside the URL.
func (r Receiver) secretFile() config.SecretFile {
	if r.Channel == ChannelEmail {
		return r.Email.PasswordFile
	}
	return r.SignFile
}

// renews tells whether what the receiver is told ends by itself there: it is told again for as
// long as it goes on.
func (r Receiver) renews() bool { return r.Channel == ChannelAlertmanager }

// Check reports every setting that makes no sense.
func (r Receiver) Check(report func(key, problem string)) {
	if !receiverName.MatchString(r.Name) {
		report("name", "must be lower-case letters, digits and dashes, 63 at most")
	}
	if !slices.Contains(ChannelNames(), r.Channel) {
		report("channel", strconv.Quote(r.Channel)+" is none of "+strings.Join(ChannelNames(), ", "))
	}
	if err := checkTemplate(r.Template); err != nil {
		report("template", "cannot be used: "+printable(err.Error(), 300))
	}
	if r.SignFile != "" && !signing(r.Channel) {
		report("sign_file", "messages of channel "+r.Channel+" are not signed")
	}
	if r.Channel == ChannelEmail {
		r.checkMail(report)
		return
	}
	if r.Email.Server != "" || len(r.Email.To) > 0 {
		report("email", "is for channel email only")
	}
	switch {
	case r.URL == "" && r.URLFile == "":
		report("url_file", "url or url_file must be given")
	case r.URL != "" && r.URLFile != "":
		report("url_file", "url is given as well: one of them")
	case r.URL != "" && checkURL(r.URL) != nil:
		report("url", checkURL(r.URL).Error())
	}
}

func (r Receiver) checkMail(report func(key, problem string)) {
	e := r.Email
	if r.URL != "" || r.URLFile != "" || r.BearerFile != "" {
		report("url_file", "mail has a server, not a URL or token: see email")
	}
	host, port, err := net.SplitHostPort(e.Server)
	if err != nil || host == "" || port == "" {
		report("email.server", "must be host:port")
	}
	if !slices.Contains([]string{"", TLSStart, TLSAlways, TLSNever}, e.TLS) {
		report("email.tls", strconv.Quote(e.TLS)+" is none of starttls, tls, none")
	}
	if e.Sender() == "" || strings.ContainsAny(e.From, "\r\n") {
		report("email.from", "must be an address, or \"Name <address>\"")
	}
	if len(e.To) == 0 {
		report("email.to", "somebody must get it")
	}
	for i, to := range e.To {
		if MailAddress(to) == "" || strings.ContainsAny(to, "\r\n") {
			report("email."+at("to", i), "must be an address, or \"Name <address>\"")
		}
	}
	if (e.User == "") != (e.PasswordFile == "") {
		report("email.password_file", "user and password_file belong together")
	}
}
