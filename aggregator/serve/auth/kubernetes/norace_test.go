//go:build !race

package kubernetes

// many is how many agents come back at once.
const many = 500
