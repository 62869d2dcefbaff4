package config

import (
	"fmt"
	"strings"
)

// maxSecretBytes bounds a secret; the largest real ones are tokens of a few kilobytes.
const maxSecretBytes = 64 << 10

// SecretFile is the path of a file that holds one secret. It prints as its path; the
// secret itself is only ever returned by Read. The file is read at each use, so that a
// rotated secret is seen.
type SecretFile string

// Read returns the secret without one trailing newline; an empty path is no secret.
func (f SecretFile) Read() (string, error) {
	if f == "" {
		return "", nil
	}
	data, err := readBounded(string(f), maxSecretBytes)
	if err != nil {
		return "", fmt.Errorf("reading secret: %w", err)
	}
	s := strings.TrimSuffix(string(data), "\n")
	return strings.TrimSuffix(s, "\r"), nil
}
