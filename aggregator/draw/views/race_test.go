//go:build race

package views

// testMemoryBytes is what a view's process of a test may hold, where it says nothing else:
// the race detector multiplies memory.
const testMemoryBytes = 1 << 30

// eatenWords are in what a process says that has taken all the memory it may: the race
// detector ends it before anything of ours does.
const eatenWords = "failed to allocate"
