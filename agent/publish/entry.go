package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// A spool entry is one file:
//
//	magic           16 bytes, the format's version in it
//	length of JSON  8 bytes, big endian
//	JSON            the capture without its bytes
//	profiles        their bytes, in the capture's order and of the sizes it names
//	digest          32 bytes, SHA-256 of everything before
//
// The digest is over every byte and every length is implied by what it covers, so an entry
// that was cut short, grew or changed anywhere is known as torn.
const magic = "gopprof spool 1\n"

var errTorn = errors.New("spool entry is torn")

type digest [sha256.Size]byte

// encode writes the capture as an entry.
func encode(w io.Writer, c gopprof.Capture) (digest, error) {
	var sum digest
	head, err := json.Marshal(c)
	if err != nil {
		return sum, fmt.Errorf("encoding capture: %w", err)
	}
	h := sha256.New()
	both := io.MultiWriter(w, h)
	parts := [][]byte{[]byte(magic), binary.BigEndian.AppendUint64(nil, uint64(len(head))), head}
	for _, p := range c.Profiles {
		parts = append(parts, p.Bytes)
	}
	for _, part := range parts {
		if _, err := both.Write(part); err != nil {
			return sum, err
		}
	}
	sum = total(h)
	_, err = w.Write(sum[:])
	return sum, err
}

func total(h hash.Hash) digest { return digest(h.Sum(nil)) }

// decode reads an entry. Its error is errTorn, wrapped.
func decode(data []byte) (gopprof.Capture, digest, error) {
	var c gopprof.Capture
	torn := func(what string) (gopprof.Capture, digest, error) {
		return gopprof.Capture{}, digest{}, fmt.Errorf("%w: %s", errTorn, what)
	}
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok || len(rest) < 8+sha256.Size {
		return torn("too short, or another format")
	}
	body := data[:len(data)-sha256.Size]
	sum := digest(sha256.Sum256(body))
	if !bytes.Equal(sum[:], data[len(body):]) {
		return torn("digest differs")
	}
	size, rest := binary.BigEndian.Uint64(rest), rest[8:len(rest)-sha256.Size]
	if size > uint64(len(rest)) {
		return torn("length of JSON")
	}
	if err := json.Unmarshal(rest[:size], &c); err != nil {
		return torn(err.Error())
	}
	if err := attach(&c, rest[size:]); err != nil {
		return torn(err.Error())
	}
	return c, sum, nil
}

// attach gives each profile its bytes.
func attach(c *gopprof.Capture, data []byte) error {
	for i := range c.Profiles {
		p := &c.Profiles[i]
		if p.SizeBytes < 0 || p.SizeBytes > int64(len(data)) {
			return fmt.Errorf("size of profile %d", i)
		}
		p.Bytes, data = data[:p.SizeBytes:p.SizeBytes], data[p.SizeBytes:]
	}
	if len(data) > 0 {
		return fmt.Errorf("%d bytes too many", len(data))
	}
	return checkCapture(*c)
}

// checkCapture tells whether a capture is one that may be spooled and sent.
func checkCapture(c gopprof.Capture) error {
	if err := gopprof.CheckID(c.ID); err != nil {
		return err
	}
	for _, p := range c.Profiles {
		sum := sha256.Sum256(p.Bytes)
		if p.SizeBytes != int64(len(p.Bytes)) || p.SHA256 != hex.EncodeToString(sum[:]) {
			return fmt.Errorf("profile %q: size or sha256 differ from what the capture names", p.Kind)
		}
	}
	return nil
}

// sizeOf returns the size of a capture's entry.
func sizeOf(c gopprof.Capture) (int64, digest, error) {
	n := new(counter)
	sum, err := encode(n, c)
	return int64(*n), sum, err
}

type counter int64

func (n *counter) Write(p []byte) (int, error) {
	*n += counter(len(p))
	return len(p), nil
}
