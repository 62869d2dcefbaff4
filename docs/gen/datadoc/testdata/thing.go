// Package thing is a fixture.
package thing

import "time"

// Thing is a thing,
// told in two lines.
type Thing struct {
	ID string `json:"id"`
	// HasCPU and HasMemory tell what | was
	// seen.
	HasCPU    bool              `json:"hasCPU,omitempty"`
	HasMemory bool              `json:"hasMemory,omitempty"`
	Parts     []Part            `json:"parts"`           // beside HasCPU
	Colour    Colour            `json:"colour"`          // of all
	Links     map[string]string `json:"links,omitempty"` // elsewhere
	At        time.Time         `json:"at"`              // when
	Secret    string            `json:"-"`
	// Owner may be nobody.
	Owner *Part `json:"owner,omitzero"`
	own   int
}

// Part is of a Thing.
type Part struct {
	Weight float64 `json:"weight"` // kilograms
}

// Colour is one of a few.
type Colour string

// The colours.
const (
	ColourNone Colour = ""
	ColourRed  Colour = "red" // like roses
)

// Odd cannot be written.
type Odd struct {
	F func() `json:"f"` // what it does
}

// Strange is neither.
type Strange struct {
	N number `json:"n"` // what it is
}

type number int

// Wordless has a set without words.
type Wordless struct {
	E Empty `json:"e"` // nothing
}

// Empty has no words.
type Empty string

// Loose has a set with a word that is not of it.
type Loose struct {
	M Mood `json:"m"` // how it is
}

// Mood is how somebody is.
type Mood string

const (
	MoodGood Mood = "good"
	MoodBad       = "bad"
)
