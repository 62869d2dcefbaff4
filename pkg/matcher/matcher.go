// Package matcher reads conditions on labels as Prometheus' Alertmanager writes them: routes
// of reports and rules for alerts are written in the same words.
//
// A text enters; a condition that labels can be held against leaves. Which names there may be
// is for the caller to say. It must never take a text that it would write otherwise than it
// reads it.
package matcher

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The operators. The expression of =~ and !~ must match the whole value.
const (
	Equal     = "="
	NotEqual  = "!="
	Match     = "=~"
	NotMatch  = "!~"
	operators = `=~|!~|!=|=`
)

// Matcher is one condition on a label: name="value", or with !=, =~ and !~. The zero Matcher
// must not be used.
type Matcher struct {
	Name, Op, Value string
	re              *regexp.Regexp // of =~ and !~
}

var syntax = regexp.MustCompile(`^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(` + operators + `)\s*(.*?)\s*$`)

// maxBytes bounds a condition: a long regular expression takes seconds to compile, and
// many times its length in memory.
const maxBytes = 64 << 10

// Parse reads a condition of at most 64 KiB. Quotes around the value may be left out.
func Parse(s string) (Matcher, error) {
	if len(s) > maxBytes {
		return Matcher{}, fmt.Errorf("must be at most %d bytes, and has %d", maxBytes, len(s))
	}
	parts := syntax.FindStringSubmatch(s)
	if parts == nil {
		return Matcher{}, errors.New(`must be name="value", or with !=, =~ or !~`)
	}
	m := Matcher{Name: parts[1], Op: parts[2], Value: parts[3]}
	if strings.HasPrefix(m.Value, `"`) {
		value, err := strconv.Unquote(m.Value)
		if err != nil {
			return Matcher{}, errors.New("the value's quotes do not match")
		}
		m.Value = value
	}
	if m.Op == Match || m.Op == NotMatch {
		re, err := regexp.Compile("^(?:" + m.Value + ")$")
		if err != nil {
			return Matcher{}, fmt.Errorf("not a regular expression: %w", err)
		}
		m.re = re
	}
	return m, nil
}

// Matches tells whether labels meet the condition. One that is absent is empty.
func (m Matcher) Matches(labels map[string]string) bool {
	v := labels[m.Name]
	switch m.Op {
	case Equal:
		return v == m.Value
	case NotEqual:
		return v != m.Value
	case Match:
		return m.re.MatchString(v)
	}
	return !m.re.MatchString(v)
}

// String writes the condition as Parse reads it.
func (m Matcher) String() string { return m.Name + m.Op + strconv.Quote(m.Value) }

// All tells whether labels meet all conditions.
func All(all []Matcher, labels map[string]string) bool {
	return !slices.ContainsFunc(all, func(m Matcher) bool { return !m.Matches(labels) })
}
