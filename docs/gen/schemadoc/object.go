package schemadoc

import (
	"bytes"
	"encoding/json"
)

// Object is a JSON object whose members keep their order, so that a person reads a schema in
// the order of its source.
type Object []Member

// Member is one member of an object.
type Member struct {
	Key   string
	Value any
}

// MarshalJSON writes the members in their order.
func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(m.Key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(m.Value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// With returns the object with more members; one of the same key takes the place of the old.
func (o Object) With(more Object) Object {
	out := append(Object{}, o...)
next:
	for _, m := range more {
		for i := range out {
			if out[i].Key == m.Key {
				out[i].Value = m.Value
				continue next
			}
		}
		out = append(out, m)
	}
	return out
}
