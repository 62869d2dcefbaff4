// Package wire turns nouns into bytes and back: CloudEvents 1.0 in structured JSON mode,
// one versioned type for each noun.
//
// What enters a decoder was written by somebody else and is treated so: it is bounded in
// size, its type and version must be the expected ones, identifiers must be UUIDv7 and
// agree with the envelope's, and every mistake is one of the errors below. Unknown fields
// are ignored, so that a newer sender may add some. What an encoder lets out, the decoder
// of the same version takes: both run the same checks. The bytes of profiles never pass
// through here, and a type that was once released never changes its meaning: it gets a
// new version.
package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"time"
)

// MaxBytes is the size above which a message is neither made nor read: NATS's default
// limit for one message, less what the server adds to it.
const MaxBytes = 1<<20 - 4<<10

// maxElements is the most elements that all arrays of a message may have together. In memory one
// takes up to 600 bytes, and as much again while its array grows; in a message, two. None of ours
// has half as many: they would not fit.
const maxElements = 20_000

// ContentType is the media type of an encoded message (CloudEvents HTTP binding, 3.2).
const ContentType = "application/cloudevents+json"

// The types of the messages, as in the attribute "type".
const (
	TypeCapture        = "io.gopprof.capture.v1"
	TypeReport         = "io.gopprof.report.v1"
	TypeFiring         = "io.gopprof.firing.v1"
	TypeDecision       = "io.gopprof.decision.v1"
	TypeState          = "io.gopprof.state.v1"
	TypeCaptureRequest = "io.gopprof.capture-request.v1"
	TypeCancelRequest  = "io.gopprof.cancel-request.v1"
	TypeStatusRequest  = "io.gopprof.status-request.v1"
	TypePauseRequest   = "io.gopprof.pause-request.v1"
	TypeCaptureReply   = "io.gopprof.capture-reply.v1"
)

// What may be wrong with a message. Every error of this package is one of them.
var (
	ErrTooLarge  = errors.New("message too large")
	ErrMalformed = errors.New("not a CloudEvent")
	ErrType      = errors.New("another type of message")
	ErrVersion   = errors.New("unknown version of the message")
	ErrID        = errors.New("wrong identifier")
	ErrInvalid   = errors.New("invalid value")
)

// event is the envelope: the attributes of CloudEvents 1.0.2 that gopprof uses.
type event struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"` // what it is about, for routers that do not open the data
	Time            time.Time       `json:"time,omitzero"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	Data            json.RawMessage `json:"data"`
}

// encode wraps data into the envelope.
func encode(e event, data any) ([]byte, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w: %w", e.Type, ErrInvalid, err)
	}
	if err := checkElements(raw); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", e.Type, err)
	}
	e.SpecVersion, e.DataContentType, e.Data = "1.0", "application/json", raw
	e.Time = e.Time.UTC()
	out, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w: %w", e.Type, ErrInvalid, err)
	}
	if len(out) > MaxBytes {
		return nil, fmt.Errorf("encoding %s: %w: %d bytes", e.Type, ErrTooLarge, len(out))
	}
	return out, nil
}

// decode opens the envelope of a message that must be of type typ, and its data.
func decode(data []byte, typ string, into any) (event, error) {
	e, err := open(data, typ)
	if err != nil {
		return event{}, fmt.Errorf("decoding %s: %w", typ, err)
	}
	if err := checkElements(e.Data); err != nil {
		return event{}, fmt.Errorf("decoding %s: %w", typ, err)
	}
	if err := json.Unmarshal(e.Data, into); err != nil {
		return event{}, fmt.Errorf("decoding %s: data: %w: %s", typ, ErrInvalid, line(err.Error()))
	}
	return e, nil
}

// checkElements refuses valid JSON that would take far more memory than it has bytes.
func checkElements(data []byte) error {
	if n, _ := Elements(data); n > maxElements {
		return fmt.Errorf("%w: arrays of %d elements, at most %d", ErrTooLarge, n, maxElements)
	}
	return nil
}

// Elements counts, in JSON that need not be valid, those of all arrays and the members of all
// objects, but the first of each. What they are read into takes far more memory than their bytes.
func Elements(data []byte) (elements, members int) {
	var open []byte // brackets, outermost first
	text := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++ // what it escapes ends no text
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			open = append(open, c)
		case (c == '}' || c == ']') && len(open) > 0:
			open = open[:len(open)-1]
		case c == ',' && len(open) > 0 && open[len(open)-1] == '[':
			elements++
		case c == ',':
			members++
		}
	}
	return elements, members
}

func open(data []byte, typ string) (event, error) {
	if len(data) > MaxBytes {
		return event{}, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(data))
	}
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return event{}, fmt.Errorf("%w: %s", ErrMalformed, line(err.Error()))
	}
	if err := e.check(typ); err != nil {
		return event{}, err
	}
	return e, nil
}

// EventID returns the ID of a message that may be of any type and version, so that whoever
// cannot read it can still say so; empty if it is no event at all.
func EventID(data []byte) string {
	var e event
	if len(data) > MaxBytes || json.Unmarshal(data, &e) != nil {
		return ""
	}
	return e.ID
}

// check says whether the envelope holds what its receiver waits for.
func (e event) check(typ string) error {
	switch {
	case e.SpecVersion == "":
		return fmt.Errorf("%w: no specversion", ErrMalformed)
	case e.SpecVersion != "1.0":
		return fmt.Errorf("%w: CloudEvents %q", ErrVersion, clip(e.SpecVersion))
	case e.Type != typ && stem(e.Type) == stem(typ):
		return fmt.Errorf("%w: %q", ErrVersion, clip(e.Type))
	case e.Type != typ:
		return fmt.Errorf("%w: %q", ErrType, clip(e.Type))
	case e.ID == "":
		return fmt.Errorf("%w: empty", ErrID)
	case e.Source == "":
		return fmt.Errorf("%w: no source", ErrMalformed)
	case len(e.Data) == 0 || e.Data[0] != '{':
		return fmt.Errorf("%w: data is no object", ErrMalformed)
	}
	if err := checkTimes("event", e.Time); err != nil {
		return err
	}
	return e.checkContentType()
}

func (e event) checkContentType() error {
	if e.DataContentType == "" { // JSON, says the specification
		return nil
	}
	media, _, err := mime.ParseMediaType(e.DataContentType)
	if err != nil || media != "application/json" {
		return fmt.Errorf("%w: data is %q", ErrMalformed, clip(e.DataContentType))
	}
	return nil
}

// stem is the type without its version.
func stem(typ string) string {
	i := strings.LastIndex(typ, ".v")
	if i < 0 {
		return typ
	}
	return typ[:i]
}

// agentSource is the attribute "source" of what a node sends.
func agentSource(cluster, node string) string {
	return "/gopprof/agent/" + url.PathEscape(cluster) + "/" + url.PathEscape(node)
}

// aggregatorSource is the attribute "source" of what the aggregator sends.
const aggregatorSource = "/gopprof/aggregator"

// clip keeps foreign text in an error short.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
