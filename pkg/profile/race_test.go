//go:build race

package profile

// raceDetector tells that the race detector is on: it makes programs slower and their
// allocations larger.
const raceDetector = true
