package bus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// root starts every subject; the number is the version of the protocol.
const root = "gopprof.v1."

// The streams, and the durable consumer that all aggregators share.
const (
	StreamBytes    = "GOPPROF_BYTES"
	StreamCaptures = "GOPPROF_CAPTURES"
	StreamReports  = "GOPPROF_REPORTS"
	StreamDead     = "GOPPROF_DEAD"

	captureConsumer = "gopprof-receive"
	answerQueue     = "gopprof-dispatch"
)

// What an agent is asked for, the last token of the request's subject.
const (
	verbCapture = "capture"
	verbCancel  = "cancel"
	verbStatus  = "status"
	verbPause   = "pause"
)

// maxSubject is the longest subject that is believed or sent. A connection on which a
// whole line of the protocol is longer than 4096 bytes is closed by the server, with
// everything that is on its way.
const maxSubject = 3900

// Token escapes a name for use as one token of a subject. Letters, digits, "-" and "_"
// stand for themselves, every other byte is "%" and two hex digits; the empty name is "%"
// alone. Two names never share a token.
func Token(name string) string {
	if name == "" {
		return "%"
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ParseToken returns the name that a token stands for.
func ParseToken(token string) (string, error) {
	if token == "%" {
		return "", nil
	}
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		if plain(token[i]) {
			b.WriteByte(token[i])
			continue
		}
		if token[i] != '%' || i+2 >= len(token) {
			return "", fmt.Errorf("token %q: not escaped as it should be", clip(token))
		}
		c, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("token %q: not escaped as it should be", clip(token))
		}
		b.WriteByte(byte(c))
		i += 2
	}
	name := b.String()
	if Token(name) != token { // lower-case hex, or an escape that was not needed
		return "", fmt.Errorf("token %q: not escaped as it should be", clip(token))
	}
	return name, nil
}

func plain(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// subject joins escaped names below the root.
func subject(kind string, names ...string) string {
	var b strings.Builder
	b.WriteString(root)
	b.WriteString(kind)
	for _, n := range names {
		b.WriteByte('.')
		b.WriteString(Token(n))
	}
	return b.String()
}

func bytesSubject(cluster, node, capture string, n int) string {
	return subject("bytes", cluster, node, capture, strconv.Itoa(n))
}

func captureSubject(cluster, node, capture string) string {
	return subject("capture", cluster, node, capture)
}

func reportSubject(r gopprof.Report) string {
	t := r.Capture.Target
	workload := Token(t.Workload.Kind) + "-" + Token(t.Workload.Name)
	return subject("report", t.Cluster, t.Namespace) + "." + workload + "." + Token(t.Pod) + "." + Token(r.ID)
}

func requestSubject(cluster, node, verb string) string {
	return subject("agent", cluster, node) + "." + verb
}

// origin is what the subject of an agent's message says about its sender. The server has
// checked it against the sender's permissions.
type origin struct{ cluster, node, capture string }

// parseOrigin reads a subject "gopprof.v1.<kind>.<cluster>.<node>[.<capture>]".
func parseOrigin(kind, s string) (origin, error) {
	if len(s) > maxSubject/2 { // another may be made of it
		return origin{}, fmt.Errorf("subject %q: %d bytes long", clip(s), len(s))
	}
	rest, ok := strings.CutPrefix(s, root+kind+".")
	if !ok {
		return origin{}, fmt.Errorf("subject %q: not of kind %q", clip(s), kind)
	}
	var names [3]string
	tokens := strings.Split(rest, ".")
	if len(tokens) < 2 || len(tokens) > len(names) {
		return origin{}, fmt.Errorf("subject %q: %d tokens after its kind", clip(s), len(tokens))
	}
	for i, t := range tokens {
		name, err := ParseToken(t)
		if err != nil {
			return origin{}, fmt.Errorf("subject %q: %w", clip(s), err)
		}
		names[i] = name
	}
	return origin{names[0], names[1], names[2]}, nil
}

func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
