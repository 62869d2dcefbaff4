package profiletest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
)

// Field numbers of profile.proto (github.com/google/pprof/proto).
const (
	SampleType = 1
	Sample     = 2
	Mapping    = 3
	Location   = 4
	Function   = 5
	String     = 6
	Duration   = 10
	PeriodType = 11
	Period     = 12
	Comment    = 13

	SampleLocation = 1
	SampleValue    = 2
	SampleLabel    = 3
	LocationLine   = 4
)

// Message is a protocol buffer written by hand: hostile files are not what an encoder
// makes. Each method returns the message with one field more.
type Message []byte

// Varint adds an integer.
func (m Message) Varint(field int, v uint64) Message {
	m = binary.AppendUvarint(m, uint64(field)<<3)
	return binary.AppendUvarint(m, v)
}

// Bytes adds a string or a message.
func (m Message) Bytes(field int, b []byte) Message {
	m = binary.AppendUvarint(m, uint64(field)<<3|2)
	m = binary.AppendUvarint(m, uint64(len(b)))
	return append(m, b...)
}

// Text adds a string.
func (m Message) Text(field int, s string) Message { return m.Bytes(field, []byte(s)) }

// Packed adds integers in one field.
func (m Message) Packed(field int, vs ...uint64) Message {
	var b []byte
	for _, v := range vs {
		b = binary.AppendUvarint(b, v)
	}
	return m.Bytes(field, b)
}

// Gzip compresses a file as a target does.
func Gzip(file []byte) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write(file); err != nil {
		panic(err) // a bytes.Buffer does not fail
	}
	if err := zw.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
