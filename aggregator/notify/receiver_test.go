package notify

import (
	"slices"
	"testing"
)

func TestReceiversThatAreTaken(t *testing.T) {
	mail := Email{Server: "mail.example:587", From: "gopprof <gopprof@example.com>", To: []string{"ada@example.com"}, User: "u", PasswordFile: "/p"}
	for _, r := range []Receiver{
		{Name: "a", Channel: ChannelDingTalk, URLFile: "/u", SignFile: "/s", Template: "{{.Title}}"}, {Name: "a", Channel: ChannelFeishu, URLFile: "/u", SignFile: "/s"},
		{Name: "a", Channel: ChannelWeCom, URLFile: "/u"}, {Name: "a", Channel: ChannelTeams, URLFile: "/u"}, {Name: "a", Channel: ChannelEmail, Email: mail},
		{Name: "a", Channel: ChannelAlertmanager, URL: "http://alertmanager:9093", BearerFile: "/b"}, {Name: "a", Channel: ChannelWebhook, URL: "http://x", SignFile: "/s"},
	} {
		if got := mistakes(r.Check); got != nil {
			t.Errorf("%s: %v", r.Channel, got)
		}
	}
}

func TestMistakesOfChannels(t *testing.T) {
	mail := func(change func(*Receiver)) Receiver {
		r := Receiver{Name: "a", Channel: ChannelEmail, Email: Email{Server: "mail.example:587", From: "gopprof@example.com", To: []string{"ada@example.com"}}}
		change(&r)
		return r
	}
	for key, r := range map[string]Receiver{
		"sign_file":           {Name: "a", Channel: ChannelSlack, URLFile: "/u", SignFile: "/s"},
		"template":            {Name: "a", Channel: ChannelSlack, URLFile: "/u", Template: "{{.Titel}}"},
		"email":               {Name: "a", Channel: ChannelSlack, URLFile: "/u", Email: Email{Server: "x:25"}},
		"url_file":            mail(func(r *Receiver) { r.URLFile = "/u" }),
		"email.server":        mail(func(r *Receiver) { r.Email.Server = "mail.example" }),
		"email.tls":           mail(func(r *Receiver) { r.Email.TLS = "ssl" }),
		"email.from":          mail(func(r *Receiver) { r.Email.From = "a@b\r\nBcc: x@y" }),
		"email.to":            mail(func(r *Receiver) { r.Email.To = nil }),
		"email.to[0]":         mail(func(r *Receiver) { r.Email.To[0] = "nobody" }),
		"email.password_file": mail(func(r *Receiver) { r.Email.User = "u" }),
	} {
		if got := mistakes(r.Check); !slices.Equal(got, []string{key}) {
			t.Errorf("%s: reported %v", key, got)
		}
	}
}
