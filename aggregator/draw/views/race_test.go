//go:build race

package views

// What a view's process of a test may map and hold, where it says nothing else: the race
// detector multiplies memory.
const (
	testMemoryBytes   = 1 << 30
	testResidentBytes = 1 << 30
)

// mostResident is what a view's process may have of the machine's memory.
const mostResident = testMemoryBytes

// eatenWords are in what a process says that has taken all the memory it may: the race
// detector ends it before anything of ours does.
const eatenWords = "failed to allocate"
