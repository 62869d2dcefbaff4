// Package job is what victim is told, and what it says.
package job

import (
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Write has the corpus's payloads written into a directory, those of at most so many bytes.
type Write struct {
	Dir  string
	Most int64
}

// Written are the files, by the case's name and the kind.
type Written map[string]map[gopprof.Kind]string

// Take has an agent profile a hostile target and, at the same time, a good one.
type Take struct {
	Hostile gopprof.Endpoint
	Others  []gopprof.Endpoint // hostile as well, and asked before the good one
	Good    gopprof.Endpoint
	Kinds   []gopprof.Kind
	Timeout time.Duration // of one profile
	// Patience is how long the good one may wait for its turn; 0 is a second.
	Patience time.Duration
	CAFile   string
}

// Taken is what came of it.
type Taken struct {
	Reason   gopprof.Reason // of the capture, or of its first failure; empty: profiles
	Detail   string
	Bytes    int64
	Seconds  float64
	Good     gopprof.Reason // of the good target's capture; empty: profiles
	GoodTook float64        // seconds
	Dialled  []string       // addresses, in order
	Memory   Memory
}

// Report has an aggregator make a report of files.
type Report struct {
	Files []File
	Text  string // put wherever an agent can put a text
}

// File is one profile.
type File struct {
	Kind gopprof.Kind
	Path string
}

// Reported is all that a person, or a program of his, gets to see.
type Reported struct {
	Refused     string         // why the capture was not taken in with the text in every name
	Reason      gopprof.Reason // why it was not at all, or why its first unreadable profile was not
	Detail      string
	NoDrawing   string
	Drawings    [][]byte
	DrawSeconds float64
	Page        []byte // HTML
	List        []byte // HTML
	JSON        []byte // of the API
	Event       []byte // on NATS, and to webhooks
	Slack       []byte
	Memory      Memory
}

// Memory is resident memory in bytes, in the process that does the job and in those that it
// started, and the most that all of them had at one time.
type Memory struct {
	Before, Peak             int64
	WorkerBefore, WorkerPeak int64 // of what draws
	Dot                      int64 // the most that dot had
	SumBefore, SumPeak       int64
}

// Cost is the most that the program and its processes together took for the job. What one
// of them had for a moment between two looks counts as well.
func (m Memory) Cost() int64 {
	return max(m.SumPeak-m.SumBefore, m.Peak-m.Before, m.WorkerPeak-m.WorkerBefore, m.Dot)
}
