package notify

import "time"

// Kind is what a message is about.
type Kind string

// The kinds of messages.
const (
	KindFirst  Kind = "first"  // the first reports of an incident
	KindMore   Kind = "more"   // further pods, or another cause
	KindRepeat Kind = "repeat" // the same pods again, after long
	KindEnded  Kind = "ended"  // no new report for a while
	KindTest   Kind = "test"   // somebody tries a receiver
)

// Message is what a channel brings to a receiver. Every text in it is one bounded line of
// plain text; what of it a channel's markup would read, the channel escapes.
type Message struct {
	// ID is the same at every attempt to bring the same message.
	ID string `json:"id"`
	// Parts are the groups told of: one, or several when a receiver could not be reached and
	// is told everything at once. A test has none.
	Parts []Part `json:"parts"`
	// Who asked for a test.
	Who string `json:"who,omitempty"`
	// Text is what the receiver's template wrote, in lines; empty without one.
	Text string `json:"-"`
}

// Part is what is told of one group of reports.
type Part struct {
	Kind Kind `json:"kind"`
	// Group is what the reports have in common, as "name=value" pairs.
	Group string `json:"group"`
	// Items are the pods told of, the hottest first: all of them up to a bound.
	Items []Item `json:"items"`
	// Pods and Reports count what this part tells of, those beyond Items included.
	Pods    int `json:"pods"`
	Reports int `json:"reports"`
	// Since and Last are when the first and the newest report came in.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	// Ended tells that no report has come for the time after which an incident is over.
	Ended bool `json:"ended,omitempty"`
	// Until is when the incident is over if nothing more comes.
	Until time.Time `json:"until"`
}

// Item is what is told of one report.
type Item struct {
	Report    string `json:"report"`
	Incident  string `json:"incident,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	Node      string `json:"node,omitempty"`
	Namespace string `json:"namespace"`
	Workload  string `json:"workload"` // kind/name
	Pod       string `json:"pod"`
	Container string `json:"container,omitempty"`
	Owner     string `json:"owner,omitempty"`
	Trigger   string `json:"trigger"`
	Rule      string `json:"rule,omitempty"`
	Agreement string `json:"agreement,omitempty"`

	// Labels are the pod's, by their names in Kubernetes.
	Labels map[string]string `json:"labels,omitempty"`

	What     string    `json:"what"` // "cpu at 93 % of its limit"
	Summary  string    `json:"summary,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`
	Causes   []Cause   `json:"causes,omitempty"`
	Scope    string    `json:"scope,omitempty"`
	Ratio    float64   `json:"ratio,omitempty"`
	Taken    time.Time `json:"taken"`
	Facts    []Fact    `json:"facts,omitempty"`
	Top      []string  `json:"top,omitempty"` // a table of the heaviest functions, to be shown monospaced
	Links    []Link    `json:"links,omitempty"`
	// Command opens the profile on a developer's machine.
	Command string `json:"command,omitempty"`
	// Heat is the use against the limit in the last minutes, oldest first, and Threshold what
	// it was judged by; empty when it is not known.
	Heat      []float64 `json:"heat,omitempty"`
	Threshold float64   `json:"threshold,omitempty"`
	// Files are keys in the store of pictures (SVG), for channels that attach them.
	Files []Attachment `json:"files,omitempty"`
}

// Cause is one thing that explains a report.
type Cause struct {
	Kind       string `json:"kind"`
	Confidence string `json:"confidence"`
	Line       string `json:"line"`
}

// Fact is one figure or name beside the text.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Link leads to a page; URL is http or https and safe in every channel's markup.
type Link struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Attachment is a picture in the store.
type Attachment struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

// Title is the item in one line.
func (i Item) Title() string { return i.Namespace + "/" + i.Pod + ": " + i.What }

// Cause returns the main cause, or the zero Cause.
func (i Item) Cause() Cause {
	if len(i.Causes) == 0 {
		return Cause{}
	}
	return i.Causes[0]
}

// Page is the report's page, "" when it has none.
func (i Item) Page() string {
	for _, l := range i.Links {
		if l.Name == linkReport {
			return l.URL
		}
	}
	return ""
}

// key tells pods and their causes apart: what was told of one need not be told again.
func (i Item) key() string {
	return i.Cluster + "\x00" + i.Namespace + "\x00" + i.Pod + "\x00" + i.Container + "\x00" + i.Cause().Kind
}

// pod tells pods apart.
func (i Item) pod() string { return i.Cluster + "\x00" + i.Namespace + "\x00" + i.Pod }

// short is the item without what only the first of a message shows.
func (i Item) short() Item {
	i.Facts, i.Top, i.Heat, i.Files, i.Warnings, i.Labels = nil, nil, nil, nil, nil, nil
	if len(i.Links) > 1 {
		i.Links = i.Links[:1]
	}
	if len(i.Causes) > 1 {
		i.Causes = i.Causes[:1]
	}
	return i
}

// One returns a message about one report alone.
func One(i Item, now time.Time) Message {
	return Message{ID: i.Report, Parts: []Part{{Kind: KindFirst, Items: []Item{i}, Pods: 1, Reports: 1, Since: now, Last: now}}}
}

// mostItems is how many pods of a group are kept by name.
const mostItems = 20
