package notify

import "fmt"

// hidden is what a secret prints as.
const hidden = "<secret>"

// Secret is a text that must never be seen. It prints as <secret> in every way there is; a
// pointer inside keeps even a struct that holds it unexported from printing it.
type Secret struct{ text *string }

// NewSecret keeps a text secret. An empty one is no secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal returns the text, for the one place that needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty tells whether there is no secret.
func (s Secret) Empty() bool { return s.text == nil }

// String never shows the text; nor do Format and MarshalText.
func (s Secret) String() string { return hidden }

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText implements encoding.TextMarshaler, and with it JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
