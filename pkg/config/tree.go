package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// yamlError is how the YAML library words a mistake of syntax.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// readTree returns the root of the only document in data, nil for an empty file, or what
// is wrong with the file as YAML.
func readTree(name string, data []byte) (*yaml.Node, *Error) {
	if line, problem := strangeLine(data); problem != "" {
		return nil, &Error{File: name, Line: line, Problem: problem}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxError(name, err)
	}
	if err := d.Decode(&more); err == nil {
		return nil, &Error{File: name, Line: more.Line, Problem: "a second document begins, must be one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(name, err)
	}
	return doc.Content[0], nil
}

func syntaxError(name string, err error) *Error {
	e := &Error{File: name, Line: 1, Problem: err.Error()}
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil {
		e.Problem = m[2]
		if line, err := strconv.Atoi(m[1]); err == nil {
			e.Line = max(1, line)
		}
	}
	e.Problem = "is not YAML: " + e.Problem
	return e
}

// strangeLine finds the first line with bytes that are no text, which the YAML library refuses
// too, without the line; or with what ends a line for it and for no editor: its lines would be
// others than a person's. It says what is wrong, "" when nothing is.
func strangeLine(data []byte) (line int, problem string) {
	line = 1
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		switch {
		case c == '\u2028' || c == '\u2029':
			return line, fmt.Sprintf(`holds %U, a line end that no editor shows: write "\u%04x", in quotes, or leave it out`, c, c)
		case c == '\n':
			line++
		case c == utf8.RuneError && size == 1, unicode.IsControl(c) && c != '\t' && c != '\r':
			return line, "is not text in UTF-8"
		}
		i += size
	}
	return 0, ""
}

// describe says what a node is, for a sentence that begins with "is". It does not show a
// value that stands where none belongs: it may be a secret.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a section"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case isNull(n):
		return "without a value"
	}
	return "a single value"
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// quote shows a number or duration of the file, shortened.
func quote(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(strings.TrimSpace(s))
}
