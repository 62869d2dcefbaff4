package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Outline is a message as plain text in the order in which it is read. Channels differ only
// in their markup of it.
type Outline struct {
	Title    string   // one line, never empty
	Warnings []string // limit how far the rest may be trusted
	Lines    []string // what was found
	Pods     []string // one line for each further pod or group
	Facts    []Fact
	Top      []string // a table, to be shown monospaced
	Links    []Link
	Command  string // opens the profile; empty when there is none
	Foot     string // names the message
	Heat     []float64
	Limit    float64 // the threshold that Heat is judged by
}

// MostNamed is how many pods a message names at most.
const MostNamed = 10

// Outline lays a message out, with at most so many pods or groups by name; the others are
// counted.
func (m Message) Outline(named int) Outline {
	var o Outline
	switch {
	case len(m.Parts) == 0:
		o = m.test()
	case len(m.Parts) > 1:
		o = m.digest(named)
	case m.Parts[0].Kind == KindEnded || len(m.Parts[0].Items) == 0:
		o = m.Parts[0].ended(named)
	default:
		o = m.Parts[0].found(named)
	}
	if m.Text != "" { // the template's words take the place of ours; the links stay
		o.Warnings, o.Pods, o.Facts, o.Top = nil, nil, nil, nil
		o.Lines = strings.Split(m.Text, "\n")
	}
	return o
}

func (m Message) test() Outline {
	line := "Somebody tries this receiver. Nothing is wrong, and nothing is to be done."
	if m.Who != "" {
		line = Clean(m.Who, 200) + " tries this receiver. Nothing is wrong, and nothing is to be done."
	}
	return Outline{Title: "Test message of gopprof", Lines: []string{line}, Foot: "Message " + m.ID}
}

// found tells of new reports: the hottest in full, the others by a line.
func (p Part) found(named int) Outline {
	first := p.Items[0]
	o := Outline{
		Title: p.title(), Warnings: first.Warnings, Facts: first.Facts, Top: first.Top, Links: first.Links, Command: first.Command,
		Foot: "Report " + first.Report, Heat: first.Heat, Limit: first.Threshold,
	}
	if p.Pods > 1 {
		o.Lines = append(o.Lines, "Hottest: "+first.Title())
	}
	if first.Summary != "" {
		o.Lines = append(o.Lines, first.Summary)
	}
	for _, c := range first.Causes {
		line := c.String()
		if c.Line != "" && strings.Contains(first.Summary, c.Line) { // it was said
			line = strings.TrimSuffix("Cause: "+c.Kind+", "+c.Confidence, ", ")
		}
		o.Lines = append(o.Lines, line)
	}
	if p.Ended {
		o.Lines = append(o.Lines, fmt.Sprintf("It is over: the last report came at %s.", clock(p.Last)))
	}
	o.Pods = p.others(named)
	return o
}

// title is the part in one line.
func (p Part) title() string {
	first := p.Items[0]
	s := first.Title()
	if p.Pods > 1 {
		s = fmt.Sprintf("%d pods of %s: %s", p.Pods, p.where(), first.What)
	}
	switch p.Kind {
	case KindMore:
		return "Further: " + s
	case KindRepeat:
		return "Still: " + s
	}
	return s
}

// where is what the pods have in common: their workload, their namespace, or less.
func (p Part) where() string {
	if len(p.Items) == 0 {
		return p.Group
	}
	first, workload, namespace := p.Items[0], true, true
	for _, i := range p.Items[1:] {
		workload = workload && i.Workload == first.Workload
		namespace = namespace && i.Namespace == first.Namespace && i.Cluster == first.Cluster
	}
	switch {
	case !namespace:
		return "several namespaces"
	case !workload:
		return first.Namespace
	}
	return first.Namespace + "/" + first.Workload
}

// String is a cause in one line.
func (c Cause) String() string {
	s := c.Line
	if c.Confidence != "" {
		s += " (" + c.Kind + ", " + c.Confidence + ")"
	}
	return s
}

// others are the lines of the pods beside the first.
func (p Part) others(named int) []string {
	var lines []string
	seen := map[string]bool{p.Items[0].pod(): true}
	for _, i := range p.Items[1:] {
		if len(lines) == named {
			break
		}
		line := i.Title()
		if c := i.Cause(); c.Line != "" {
			line += ". " + c.String()
		} else if i.Summary != "" {
			line += ". " + i.Summary
		}
		seen[i.pod()] = true
		lines = append(lines, Clean(line, maxLine))
	}
	if more := p.Pods - len(seen); more > 0 {
		lines = append(lines, Counted(more, "more pod", "more pods"))
	}
	return lines
}

// ended tells that no report came for a while.
func (p Part) ended(named int) Outline {
	o := Outline{
		Title: "Over: " + p.where() + ", " + Counted(p.Pods, "pod", "pods") + ", " + Counted(p.Reports, "report", "reports"),
		Lines: []string{fmt.Sprintf("From %s to %s; no report since.", clock(p.Since), clock(p.Last))},
	}
	for _, i := range p.Items[:min(len(p.Items), named)] {
		o.Pods = append(o.Pods, Clean(i.Title(), maxLine))
	}
	if more := p.Pods - len(o.Pods); more > 0 && len(p.Items) > 0 {
		o.Pods = append(o.Pods, Counted(more, "more pod", "more pods"))
	}
	if len(p.Items) > 0 {
		o.Links, o.Foot = p.Items[0].Links[:min(len(p.Items[0].Links), 1)], "Report "+p.Items[0].Report
	}
	return o
}

// digest tells of several groups at once, each in a line.
func (m Message) digest(named int) Outline {
	pods, reports := 0, 0
	o := Outline{Foot: "Message " + m.ID}
	for k, p := range m.Parts {
		pods, reports = pods+p.Pods, reports+p.Reports
		if k >= named {
			continue
		}
		o.Pods = append(o.Pods, Clean(p.line(), maxLine))
		if len(p.Items) > 0 && p.Items[0].Page() != "" && len(o.Links) < mostLinks {
			o.Links = append(o.Links, Link{Clean(p.Items[0].Namespace+"/"+p.Items[0].Pod, 60), p.Items[0].Page()})
		}
	}
	if more := len(m.Parts) - named; more > 0 {
		o.Pods = append(o.Pods, Counted(more, "more group of reports", "more groups of reports"))
	}
	o.Title = fmt.Sprintf("%d groups of reports: %s, %s", len(m.Parts), Counted(pods, "pod", "pods"), Counted(reports, "report", "reports"))
	o.Lines = []string{"They were told together, because this receiver could not take them one by one."}
	return o
}

// line is a part of a digest.
func (p Part) line() string {
	if p.Kind == KindEnded || len(p.Items) == 0 {
		return "Over: " + p.where() + ", " + Counted(p.Pods, "pod", "pods")
	}
	s := p.title()
	if c := p.Items[0].Cause(); c.Line != "" {
		s += ". " + c.String()
	}
	if p.Ended {
		s += " Over."
	}
	return s
}

// Footer names the message and says how to open its profile.
func (o Outline) Footer() string {
	if o.Command != "" && o.Foot != "" {
		return o.Foot + " · " + o.Command
	}
	return o.Foot + o.Command
}

// Counted says how many.
func Counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Fit lays a message out and writes it, with ever less in it until it is at most so many
// bytes long: fewer pods by name, then neither table nor figures, then shorter lines.
func Fit(m Message, most int, write func(o Outline) ([]byte, error)) ([]byte, error) {
	for level := range 8 {
		body, err := write(m.leaner(level))
		if err != nil || len(body) <= most {
			return body, err
		}
	}
	return nil, fmt.Errorf("more than %d bytes with nothing in it but its title", most)
}

// JSONPost is the POST of a message as JSON of at most so many bytes: lay makes an outline what
// is written.
func JSONPost(m Message, most int, lay func(o Outline) any) (Post, error) {
	body, err := Fit(m, most, func(o Outline) ([]byte, error) { return JSON(lay(o)) })
	if err != nil {
		return Post{}, err
	}
	return Post{Body: body, ContentType: MediaJSON}, nil
}

// MediaJSON is the media type of chats' messages.
const MediaJSON = "application/json; charset=utf-8"

// leaner is a message's outline at a level of thrift.
func (m Message) leaner(level int) Outline {
	o := m.Outline([]int{MostNamed, 5, 2, 2, 1, 0, 0, 0}[level])
	if level < 3 {
		return o
	}
	o.Top, o.Facts = nil, nil
	lines, links, long := []int{8, 5, 3, 2, 1}[level-3], []int{3, 2, 1, 1, 0}[level-3], []int{400, 300, 200, 100, 60}[level-3]
	o.Title = Clean(o.Title, min(long, 200))
	o.Warnings, o.Lines, o.Pods = cleanAll(o.Warnings, lines, long), cleanAll(o.Lines, lines, long), cleanAll(o.Pods, lines, long)
	o.Links = o.Links[:min(len(o.Links), links)]
	return o
}

// JSON writes a body without the escapes that HTML would need: they cost room, and no chat
// reads HTML.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
