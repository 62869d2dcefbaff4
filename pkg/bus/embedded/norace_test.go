//go:build !race

package embedded_test

// many is how many agents come back at once.
const many = 500
