package profile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
)

// message writes a protocol buffer by hand: hostile files are not what an encoder makes.
type message []byte

func (m message) varint(field int, v uint64) message {
	m = binary.AppendUvarint(m, uint64(field)<<3|wireVarint)
	return binary.AppendUvarint(m, v)
}

func (m message) bytes(field int, b []byte) message {
	m = binary.AppendUvarint(m, uint64(field)<<3|wireBytes)
	m = binary.AppendUvarint(m, uint64(len(b)))
	return append(m, b...)
}

func (m message) string(field int, s string) message { return m.bytes(field, []byte(s)) }

func (m message) packed(field int, vs ...uint64) message {
	var b []byte
	for _, v := range vs {
		b = binary.AppendUvarint(b, v)
	}
	return m.bytes(field, b)
}

// cpuHeader is the beginning of a CPU profile: its sample types, and a string table with
// room for more strings from index 5 on.
func cpuHeader() message {
	var m message
	for _, s := range []string{"", "samples", "count", "cpu", "nanoseconds"} {
		m = m.string(fieldString, s)
	}
	m = m.bytes(fieldSampleType, message{}.varint(1, 1).varint(2, 2))
	return m.bytes(fieldSampleType, message{}.varint(1, 3).varint(2, 4))
}

// oneFunction adds function 1 and location 1, whose name is string 5.
func (m message) oneFunction(name string) message {
	m = m.string(fieldString, name)
	m = m.bytes(fieldFunction, message{}.varint(1, 1).varint(2, 5).varint(3, 5).varint(4, 5).varint(5, 7))
	return m.bytes(fieldLocation, message{}.varint(1, 1).bytes(fieldLocationLine, message{}.varint(1, 1).varint(2, 9)))
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	zw, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	zw.Write(data) //nolint:errcheck // a bytes.Buffer does not fail
	zw.Close()     //nolint:errcheck
	return b.Bytes()
}
