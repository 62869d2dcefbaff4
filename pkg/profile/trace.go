package profile

import (
	"fmt"
	"regexp"
)

// traceHeader is how an execution trace of Go begins: 16 bytes, padded with zeros
// (internal/trace, ReadVersion).
var traceHeader = regexp.MustCompile(`^go 1\.[0-9]{1,3} trace\x00+$`)

const traceHeaderBytes = 16

func validateTrace(data []byte, lim Limits) error {
	if int64(len(data)) > lim.DecompressedBytes {
		return fmt.Errorf("%w: %d bytes, at most %d allowed", ErrTooLarge, len(data), lim.DecompressedBytes)
	}
	if len(data) < traceHeaderBytes || !traceHeader.Match(data[:traceHeaderBytes]) {
		return fmt.Errorf("%w: not an execution trace of Go", ErrInvalid)
	}
	return nil
}
