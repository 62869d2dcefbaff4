package profile

import "github.com/gopprof/gopprof/pkg/profile/profiletest"

type message = profiletest.Message

// header is the beginning of a CPU profile: its sample types, and a string table with room
// for more strings from number 5 on.
func header() message {
	var m message
	for _, s := range []string{"", "samples", "count", "cpu", "nanoseconds"} {
		m = m.Text(fieldString, s)
	}
	m = m.Bytes(fieldSampleType, message{}.Varint(1, 1).Varint(2, 2))
	return m.Bytes(fieldSampleType, message{}.Varint(1, 3).Varint(2, 4))
}

// mainF is a header with function 1 and location 1, main.f.
func mainF() message {
	m := header().Text(fieldString, "main.f")
	m = m.Bytes(fieldFunction, message{}.Varint(1, 1).Varint(2, 5).Varint(3, 5).Varint(4, 5).Varint(5, 7))
	return m.Bytes(fieldLocation, message{}.Varint(1, 1).Bytes(fieldLocationLine, message{}.Varint(1, 1).Varint(2, 9)))
}

// inF adds a sample that was seen in main.f.
func inF(m message, values ...int64) message {
	s := message{}.Varint(fieldSampleLocation, 1)
	for _, v := range values {
		s = s.Varint(fieldSampleValue, uint64(v))
	}
	return m.Bytes(fieldSample, s)
}

// small is a CPU profile of one stack.
func small() message { return inF(mainF(), 3, 30_000_000) }
