package natsdoc

import (
	"bytes"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/pkg/wire"
)

// The parts of an AsyncAPI 3.0 document that are used, in the order of the specification.
type (
	document struct {
		AsyncAPI   string               `yaml:"asyncapi"`
		Info       info                 `yaml:"info"`
		Servers    map[string]server    `yaml:"servers"`
		MediaType  string               `yaml:"defaultContentType"`
		Channels   map[string]channel   `yaml:"channels"`
		Operations map[string]operation `yaml:"operations"`
		Components components           `yaml:"components"`
	}
	info struct {
		Title       string   `yaml:"title"`
		Version     string   `yaml:"version"`
		Description string   `yaml:"description"`
		More        moreDocs `yaml:"externalDocs"`
	}
	moreDocs struct {
		URL string `yaml:"url"`
	}
	server struct {
		Host        string `yaml:"host"`
		Protocol    string `yaml:"protocol"`
		Description string `yaml:"description"`
	}
	channel struct {
		Address     *string        `yaml:"address"` // nil: known to the one who asks only
		Title       string         `yaml:"title"`
		Description string         `yaml:"description,omitempty"`
		Parameters  map[string]ref `yaml:"parameters,omitempty"`
		Messages    map[string]ref `yaml:"messages"`
		Stream      string         `yaml:"x-jetstream-stream,omitempty"`
	}
	operation struct {
		Action   string         `yaml:"action"`
		Channel  ref            `yaml:"channel"`
		Summary  string         `yaml:"summary"`
		Bindings map[string]any `yaml:"bindings,omitempty"`
		Reply    *reply         `yaml:"reply,omitempty"`
	}
	reply struct {
		Channel ref `yaml:"channel"`
	}
	components struct {
		Messages   map[string]event     `yaml:"messages"`
		Parameters map[string]parameter `yaml:"parameters"`
	}
	parameter struct {
		Description string `yaml:"description"`
	}
	event struct {
		Name      string `yaml:"name,omitempty"`
		Title     string `yaml:"title"`
		MediaType string `yaml:"contentType"`
		Headers   any    `yaml:"headers,omitempty"`
		Payload   *ref   `yaml:"payload,omitempty"`
	}
	ref struct {
		Ref string `yaml:"$ref"`
	}
)

const intro = `What gopprof's agents, its aggregator and everybody else say to each other over NATS. The operations are the
aggregator's: what it sends, others receive, and the other way round. Whoever wants to do something with
gopprof's reports needs the channel "reports" only, and reads it from a durable consumer of its own in the
JetStream stream that x-jetstream-stream names: docs/nats.md, with examples in docs/examples.

Every name in an address is one token. Letters, digits, "-" and "_" stand for themselves; every other byte is
"%" and two upper-case hex digits, and the empty name is "%" alone: the pod "web-0.eu" is "web-0%2Eeu".

Messages are CloudEvents 1.0 in structured JSON mode. Their schemas are JSON Schema 2020-12, of which they use
only what draft-07 has too and means the same.
`

func asyncAPI() ([]byte, error) {
	d := document{
		AsyncAPI: "3.0.0", MediaType: wire.ContentType,
		Info: info{Title: "gopprof on NATS", Version: "1", Description: intro, More: moreDocs{"https://github.com/gopprof/gopprof/blob/main/docs/nats.md"}},
		Servers: map[string]server{"embedded": {embedded.DefaultConfig().Listen, "nats",
			"The NATS server inside the aggregator, at its default address; beyond loopback with TLS. Everybody signs in with an nkey of his own, agents in Kubernetes with their service account's token. An external server does as well."}},
		Channels: map[string]channel{}, Operations: map[string]operation{},
		Components: components{map[string]event{}, map[string]parameter{}},
	}
	for name, text := range parameters() {
		d.Components.Parameters[name] = parameter{text}
	}
	for _, c := range bus.Channels() {
		if err := d.add(c); err != nil {
			return nil, fmt.Errorf("channel %q: %w", c.Name, err)
		}
	}
	var out bytes.Buffer
	out.WriteString("# Written by `make update-docs` out of the source. Do not edit.\n")
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := e.Encode(d)
	return out.Bytes(), err
}

// add adds a channel, what is done with it, its message and its answer's.
func (d document) add(c bus.Channel) error {
	said, ok := channels()[c.Name]
	if !ok {
		return fmt.Errorf("nothing is said of it")
	}
	name, err := d.message(c)
	if err != nil {
		return err
	}
	to := channel{Address: &c.Address, Title: said.Title, Description: said.How, Stream: c.Stream, Messages: one(name), Parameters: map[string]ref{}}
	for _, p := range names.FindAllStringSubmatch(c.Address, -1) {
		to.Parameters[p[1]] = ref{"#/components/parameters/" + p[1]}
	}
	d.Channels[c.Name] = to
	do := operation{Action: "receive", Channel: ref{"#/channels/" + c.Name}, Summary: said.Title}
	if fromAggregator(c) {
		do.Action = "send"
	}
	if c.Queue != "" {
		do.Bindings = map[string]any{"nats": map[string]string{"queue": c.Queue, "bindingVersion": "0.1.0"}}
	}
	if c.Answer != "" {
		answer, err := d.event(c.Answer)
		if err != nil {
			return err
		}
		d.Channels[answer] = channel{Title: "answers", Description: "The inbox that the request names for its answer", Messages: one(answer)}
		do.Reply = &reply{ref{"#/channels/" + answer}}
	}
	d.Operations[c.Name] = do
	return nil
}

var names = regexp.MustCompile(`\{([^}]*)\}`)

func one(message string) map[string]ref {
	return map[string]ref{message: {"#/components/messages/" + message}}
}

// message adds the message of a channel and returns its name.
func (d document) message(c bus.Channel) (name string, err error) {
	name = c.Name
	e := event{Title: "bytes, no event", MediaType: "application/octet-stream"}
	if c.Type != "" {
		if name, err = d.event(c.Type); err != nil {
			return "", err
		}
		e = d.Components.Messages[name]
	}
	e.Headers = headerSchema(headers(c.Name))
	d.Components.Messages[name] = e
	return name, nil
}

// event adds a type of event and returns its name.
func (d document) event(typ string) (name string, err error) {
	m, err := messageOf(typ)
	if err != nil {
		return "", err
	}
	d.Components.Messages[m.Name] = event{Name: m.Type, Title: m.What, MediaType: wire.ContentType, Payload: &ref{m.file()}}
	return m.Name, nil
}

func headerSchema(headers map[string]string) any {
	if len(headers) == 0 {
		return nil
	}
	properties := map[string]any{}
	for name, text := range headers {
		properties[name] = map[string]string{"type": "string", "description": text}
	}
	return map[string]any{"type": "object", "properties": properties}
}
