package draw

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxHeaderBytes bounds the JSON before a frame's body.
const maxHeaderBytes = 64 << 10

// request is the header of a job; its body follows.
type request struct {
	Size int64           `json:"size"` // of the body
	Job  json.RawMessage `json:"job"`
}

// response is the header of a job's result, which follows. Error is for people, and Reason
// its name where it has one. An empty response goes before, when the worker has read the
// whole job: a worker that dies earlier did not die of it.
type response struct {
	Reason gopprof.Reason `json:"reason,omitempty"`
	Error  string         `json:"error,omitempty"`
	Size   int64          `json:"size"`
}

// errFrame is a frame that no worker or parent of ours writes.
var errFrame = errors.New("not a frame")

// writeFrame sends a header as JSON, its length before it, and the body: its parts one after
// the other, of which each is forgotten when it is sent.
func writeFrame(w io.Writer, header any, body ...[]byte) error {
	data, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("encoding a frame: %w", err)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(data)), uint32(len(data)))
	if _, err := w.Write(append(frame, data...)); err != nil {
		return fmt.Errorf("sending a frame: %w", err)
	}
	for i, part := range body {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("sending a frame: %w", err)
		}
		body[i] = nil
	}
	return nil
}

// readHeader reads a frame up to its body. The error is io.EOF when there is no frame.
func readHeader(r io.Reader, header any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:1]); err != nil {
		return err
	}
	if _, err := io.ReadFull(r, size[1:]); err != nil {
		return fmt.Errorf("reading a frame: %w", err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxHeaderBytes {
		return fmt.Errorf("%w: header of %d bytes", errFrame, n)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return fmt.Errorf("reading a frame: %w", err)
	}
	if err := json.Unmarshal(data, header); err != nil {
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	return nil
}

// readBody reads the body that a header announced.
func readBody(r io.Reader, size, limit int64) ([]byte, error) {
	if size < 0 || size > limit {
		return nil, fmt.Errorf("%w: body of %d bytes, at most %d allowed", errFrame, size, limit)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("reading a frame: %w", err)
	}
	return body, nil
}
