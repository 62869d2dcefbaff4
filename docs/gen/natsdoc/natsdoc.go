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
	event := keywords(
		"$schema", "https://json-schema.org/draft/2020-12/schema",
		"$comment", "Written by `make update-docs` out of the source. Do not edit.",
		"title", m.Type,
		"description", m.What+". A CloudEvent 1.0 in structured JSON mode, of at most 1 MiB. Fields and words of closed sets may be added: take the schema of the version that you run.",
		"type", "object",
		"properties", m.envelope(),
		"required", []string{"specversion", "id", "source", "type", "data"},
		"$defs", definitions,
	)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(event)
	return out.Bytes(), err
}

func (m message) envelope() schemadoc.Object {
	described := func(text string, more schemadoc.Object) schemadoc.Object {
		return keywords("description", text).With(more)
	}
	id := described("that of the "+m.ID, uuid7())
	if m.ID == "" {
		id = described("when it was made, in nanoseconds since 1970: unique with the source", keywords("type", "string", "pattern", "^-?[0-9]+$"))
	}
	from := keywords("const", "/gopprof/aggregator")
	if m.FromAgent {
		from = keywords("type", "string", "format", "uri-reference", "pattern", "^/gopprof/agent/[^/]*/[^/]*$")
	}
	out := keywords("specversion", keywords("const", "1.0"), "id", id, "source", described("who sent it", from), "type", keywords("const", m.Type))
	if m.AboutTarget {
		out = out.With(keywords("subject", described("namespace/pod/container", keywords("type", "string"))))
	}
	return out.With(keywords(
		"time", keywords("type", "string", "format", "date-time"),
		"datacontenttype", keywords("const", "application/json"),
		"data", keywords("$ref", "#/$defs/"+m.Noun),
	))
}
