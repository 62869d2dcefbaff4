// Package natsdoc writes what is said of gopprof on NATS: a JSON Schema of each message, the
// AsyncAPI document over all channels, and the tables of docs/nats.md.
//
// The types of pkg/gopprof enter, with their comments, and the channels of pkg/bus and types of
// pkg/wire; files leave. What cannot be read from there (what a channel is for, the bounds that
// pkg/wire checks) stands in the tables of this package, which tests hold against both.
package natsdoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/gopprof/gopprof/docs/gen/schemadoc"
	"github.com/gopprof/gopprof/docs/gen/source"
)

// Files returns what is written, by its path below docs. said explains fields that have no
// comment, by "Type.json name".
func Files(root string, said map[string]string) (map[string][]byte, error) {
	nouns, err := source.Read(filepath.Join(root, "pkg", "gopprof"))
	if err != nil {
		return nil, err
	}
	document, err := asyncAPI()
	if err != nil {
		return nil, fmt.Errorf("writing the AsyncAPI document: %w", err)
	}
	files := map[string][]byte{"asyncapi.yaml": document}
	words := schemadoc.Words{Said: said, Bounds: bounds()}
	for _, m := range messages() {
		schema, err := m.schema(nouns, words)
		if err != nil {
			return nil, fmt.Errorf("writing the schema of %s: %w", m.Name, err)
		}
		files[m.file()] = schema
	}
	return files, nil
}

// schema is the whole message: the envelope, and the noun in it.
func (m message) schema(nouns *source.Package, words schemadoc.Words) ([]byte, error) {
	definitions, err := schemadoc.Definitions(nouns, m.Noun, words)
	if err != nil {
		return nil, err
	}
	event := schemadoc.Object{
		{Key: "$schema", Value: "https://json-schema.org/draft/2020-12/schema"},
		{Key: "$comment", Value: "Written by `make update-docs` out of the source. Do not edit."},
		{Key: "title", Value: m.Type},
		{Key: "description", Value: m.What + ". A CloudEvent 1.0 in structured JSON mode, of at most 1 MiB. Fields and words of closed sets may be added: take the schema of the version that you run."},
		{Key: "type", Value: "object"},
		{Key: "properties", Value: m.envelope()},
		{Key: "required", Value: []string{"specversion", "id", "source", "type", "data"}},
		{Key: "$defs", Value: definitions},
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(event)
	return out.Bytes(), err
}

func (m message) envelope() schemadoc.Object {
	described := func(text string, keywords schemadoc.Object) schemadoc.Object {
		return schemadoc.Object{{Key: "description", Value: text}}.With(keywords)
	}
	id := described("that of the "+m.ID, uuid7())
	if m.ID == "" {
		id = described("when it was made, in nanoseconds since 1970: unique with the source", schemadoc.Object{{Key: "type", Value: "string"}, {Key: "pattern", Value: "^-?[0-9]+$"}})
	}
	from := schemadoc.Object{{Key: "const", Value: "/gopprof/aggregator"}}
	if m.FromAgent {
		from = schemadoc.Object{{Key: "type", Value: "string"}, {Key: "format", Value: "uri-reference"}, {Key: "pattern", Value: "^/gopprof/agent/[^/]*/[^/]*$"}}
	}
	out := schemadoc.Object{
		{Key: "specversion", Value: schemadoc.Object{{Key: "const", Value: "1.0"}}},
		{Key: "id", Value: id},
		{Key: "source", Value: described("who sent it", from)},
		{Key: "type", Value: schemadoc.Object{{Key: "const", Value: m.Type}}},
	}
	if m.AboutTarget {
		out = append(out, schemadoc.Member{Key: "subject", Value: described("namespace/pod/container", schemadoc.Object{{Key: "type", Value: "string"}})})
	}
	return append(out,
		schemadoc.Member{Key: "time", Value: schemadoc.Object{{Key: "type", Value: "string"}, {Key: "format", Value: "date-time"}}},
		schemadoc.Member{Key: "datacontenttype", Value: schemadoc.Object{{Key: "const", Value: "application/json"}}},
		schemadoc.Member{Key: "data", Value: schemadoc.Object{{Key: "$ref", Value: "#/$defs/" + m.Noun}}},
	)
}
