//go:build race

package kubernetes

// many is how many agents come back at once; the race detector makes each ten times as
// dear.
const many = 50
