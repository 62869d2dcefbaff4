package email

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"html/template"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
)

// maxAttached bounds what is attached, in bytes before its encoding: servers refuse large
// mails, and drawings of large services are.
const maxAttached = 2 << 20

// pictureID names the picture inside the HTML.
const pictureID = "heat@gopprof"

// write returns the whole mail:
//
//	mixed ─┬─ related ─┬─ alternative ─┬─ text
//	       │           │               └─ HTML
//	       │           └─ the picture
//	       └─ drawings
func (c Channel) write(ctx context.Context, l notify.Letter) ([]byte, error) {
	o := l.Message.Outline(notify.MostNamed)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	picture := drawHeat(o.Heat, o.Limit)
	if err := related(w, o, picture); err != nil {
		return nil, err
	}
	for _, a := range c.attachments(ctx, l.Message) {
		if err := attach(w, a); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return append(header(l, o, w.Boundary()), body.Bytes()...), nil
}

func header(l notify.Letter, o notify.Outline, boundary string) []byte {
	var b bytes.Buffer
	line := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	line("From", mailbox(l.To.Email.From))
	var to []string
	for _, a := range l.To.Email.To {
		to = append(to, mailbox(a))
	}
	line("To", strings.Join(to, ",\r\n "))
	line("Subject", "[gopprof]"+folded(notify.Clean(o.Title, 150)))
	line("Date", stamp(l.Now))
	line("Message-ID", "<"+l.Message.ID+"."+l.To.Name+"@gopprof>")
	line("Auto-Submitted", "auto-generated")
	line(notify.HeaderReport, l.Message.ID)
	if thread := threadOf(l.Message); thread != "" { // one conversation for one incident
		line("References", "<"+thread+"."+l.To.Name+"@gopprof>")
	}
	line("MIME-Version", "1.0")
	line("Content-Type", `multipart/mixed; boundary="`+boundary+`"`)
	b.WriteString("\r\n")
	return b.Bytes()
}

// threadOf returns the incident of a message, if it is an identifier.
func threadOf(m notify.Message) string {
	if len(m.Parts) != 1 || len(m.Parts[0].Items) == 0 {
		return ""
	}
	id := m.Parts[0].Items[0].Incident
	if strings.Trim(id, "0123456789abcdef-") != "" {
		return ""
	}
	return id
}

func related(mixed *multipart.Writer, o notify.Outline, picture []byte) error {
	var inner bytes.Buffer
	w := multipart.NewWriter(&inner)
	if err := alternatives(w, o, len(picture) > 0); err != nil {
		return err
	}
	if len(picture) > 0 {
		head := textproto.MIMEHeader{"Content-Type": {"image/png"}, "Content-ID": {"<" + pictureID + ">"}, "Content-Disposition": {`inline; filename="heat.png"`}}
		if err := encoded(w, head, picture); err != nil {
			return err
		}
	}
	return nest(mixed, "related", w, &inner)
}

func alternatives(related *multipart.Writer, o notify.Outline, picture bool) error {
	var inner, html bytes.Buffer
	w := multipart.NewWriter(&inner)
	if err := printed(w, "text/plain; charset=utf-8", []byte(plain(o))); err != nil {
		return err
	}
	if err := page.Execute(&html, map[string]any{"O": o, "Picture": picture, "ID": template.URL("cid:" + pictureID)}); err != nil {
		return err
	}
	if err := printed(w, "text/html; charset=utf-8", html.Bytes()); err != nil {
		return err
	}
	return nest(related, "alternative", w, &inner)
}

// nest puts a finished multipart into another.
func nest(outer *multipart.Writer, kind string, w *multipart.Writer, inner *bytes.Buffer) error {
	if err := w.Close(); err != nil {
		return err
	}
	part, err := outer.CreatePart(textproto.MIMEHeader{"Content-Type": {`multipart/` + kind + `; boundary="` + w.Boundary() + `"`}})
	if err != nil {
		return err
	}
	_, err = part.Write(inner.Bytes())
	return err
}

// printed adds a text, its lines short enough for SMTP.
func printed(w *multipart.Writer, contentType string, text []byte) error {
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {contentType}, "Content-Transfer-Encoding": {"quoted-printable"}})
	if err != nil {
		return err
	}
	q := quotedprintable.NewWriter(part)
	if _, err := q.Write(text); err != nil {
		return err
	}
	return q.Close()
}

// encoded adds bytes, in lines of 76.
func encoded(w *multipart.Writer, head textproto.MIMEHeader, data []byte) error {
	head["Content-Transfer-Encoding"] = []string{"base64"}
	part, err := w.CreatePart(head)
	if err != nil {
		return err
	}
	for text := base64.StdEncoding.EncodeToString(data); text != ""; {
		n := min(len(text), 76)
		if _, err := part.Write([]byte(text[:n] + "\r\n")); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

type attachment struct {
	name string
	data []byte
}

// readShare is the part of an attempt's time, one in so many, in which pictures are read: a store
// that does not answer must not keep the mail from anybody.
const readShare = 3

// attachments reads the pictures of the first report. One that cannot be read in time, or is too
// large, is left out: the links lead to it.
func (c Channel) attachments(ctx context.Context, m notify.Message) []attachment {
	if c.Files == nil || len(m.Parts) != 1 || len(m.Parts[0].Items) == 0 {
		return nil
	}
	if end, ok := ctx.Deadline(); ok {
		limited, done := context.WithTimeout(ctx, time.Until(end)/readShare)
		defer done()
		ctx = limited
	}
	var all []attachment
	left := maxAttached
	for _, f := range m.Parts[0].Items[0].Files {
		data, err := c.Files(ctx, f.Key)
		if err != nil || len(data) > left {
			continue
		}
		left -= len(data)
		all = append(all, attachment{f.Name, data})
	}
	return all
}

func attach(w *multipart.Writer, a attachment) error {
	return encoded(w, textproto.MIMEHeader{
		"Content-Type":        {"image/svg+xml"},
		"Content-Disposition": {mime.FormatMediaType("attachment", map[string]string{"filename": a.name})},
	}, a.data)
}

// plain is the message for readers without HTML.
func plain(o notify.Outline) string {
	lines := []string{o.Title, ""}
	for _, w := range o.Warnings {
		lines = append(lines, "Warning: "+w)
	}
	lines = append(lines, o.Lines...)
	for _, p := range o.Pods {
		lines = append(lines, "- "+p)
	}
	lines = append(lines, "")
	for _, f := range o.Facts {
		lines = append(lines, f.Name+": "+f.Value)
	}
	lines = append(append(lines, ""), o.Top...)
	for _, l := range o.Links {
		lines = append(lines, l.Name+": "+l.URL)
	}
	return strings.Join(append(lines, o.Command, o.Foot, ""), "\r\n")
}

var page = template.Must(template.New("mail").Parse(`<!doctype html>
<html><body style="font-family:sans-serif;color:#1f2328;max-width:720px">
<h2 style="font-size:18px">{{.O.Title}}</h2>
{{range .O.Warnings}}<p style="background:#fff8c5;padding:6px">Warning: {{.}}</p>
{{end}}{{range .O.Lines}}<p>{{.}}</p>
{{end}}{{if .Picture}}<p><img src="{{.ID}}" width="640" height="160" alt="Use in the last minutes; the line is the threshold"></p>
{{end}}{{if .O.Pods}}<ul>{{range .O.Pods}}<li>{{.}}</li>{{end}}</ul>
{{end}}{{if .O.Facts}}<table>{{range .O.Facts}}<tr><td style="color:#59636e">{{.Name}}</td><td>{{.Value}}</td></tr>
{{end}}</table>
{{end}}{{if .O.Top}}<pre style="background:#f6f8fa;padding:8px">{{range .O.Top}}{{.}}
{{end}}</pre>
{{end}}{{if .O.Links}}<p>{{range $k, $l := .O.Links}}{{if $k}} · {{end}}<a href="{{$l.URL}}">{{$l.Name}}</a>{{end}}</p>
{{end}}<p style="color:#59636e;font-size:12px">{{.O.Foot}}{{if .O.Command}} · <code>{{.O.Command}}</code>{{end}}</p>
</body></html>
`))
