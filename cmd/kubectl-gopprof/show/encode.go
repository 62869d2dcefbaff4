package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// JSON writes a value as indented JSON. What cannot be printed is written as \u escapes, so
// that nothing is lost.
func JSON(w io.Writer, v any) error {
	text, err := encode(v)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, escape(text, pair))
	return err
}

// YAML writes a value as YAML, with the names that it has in JSON. What cannot be printed is
// escaped or becomes U+FFFD.
func YAML(w io.Writer, v any) error {
	text, err := encode(v)
	if err != nil {
		return err
	}
	out, err := yaml.JSONToYAML([]byte(unbroken(escape(text, long))))
	if err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	_, err = io.WriteString(w, strings.Map(replaced, string(out)))
	return err
}

func encode(v any) (string, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("writing JSON: %w", err)
	}
	return out.String(), nil
}

// escape works on whole JSON: what cannot be printed stands inside its strings only. beyond
// writes characters above U+FFFF.
func escape(text string, beyond func(r rune) string) string {
	if strings.IndexFunc(text, hidden) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case !hidden(r):
			out.WriteRune(r)
		case r > 0xffff:
			out.WriteString(beyond(r))
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

// unbroken puts U+FFFD in the place of the escaped line ends that YAML has beside the usual ones:
// in a text of several lines it would write them as they are, where they end a line. In JSON a
// backslash stands inside strings only.
func unbroken(text string) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(text, '\\')
		if i < 0 || i+1 == len(text) {
			return out.String() + text
		}
		out.WriteString(text[:i])
		rest := text[i+2:]
		switch text = text[i:]; {
		case text[1] == 'u' && (strings.HasPrefix(rest, "0085") || strings.HasPrefix(rest, "2028") || strings.HasPrefix(rest, "2029")):
			out.WriteString(`\ufffd`)
			text = rest[4:]
		default:
			out.WriteString(text[:2])
			text = rest
		}
	}
}

// pair is how JSON writes a character above U+FFFF, long how YAML does.
func pair(r rune) string {
	high, low := utf16.EncodeRune(r)
	return fmt.Sprintf(`\u%04x\u%04x`, high, low)
}

func long(r rune) string { return fmt.Sprintf(`\U%08x`, r) }

func hidden(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }

func replaced(r rune) rune {
	if hidden(r) {
		return utf8.RuneError
	}
	return r
}
