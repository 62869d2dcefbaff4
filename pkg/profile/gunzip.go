package profile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxRatio is the most that deflate can expand its input.
const maxRatio = 1032

// gzipTail is the size of a gzip member's trailer: CRC-32, then the size of the
// decompressed data (RFC 1952).
const gzipTail = 8

// gunzip returns a copy of the file's protobuf, decompressed if it was compressed. It
// allocates once, never more than the limit, and believes the size in the trailer only as
// far as deflate can make it true; the gzip reader checks it at the end.
func gunzip(data []byte, lim Limits) ([]byte, error) {
	if int64(len(data)) > lim.CompressedBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrTooLarge, len(data), lim.CompressedBytes)
	}
	if !isGzip(data) {
		if int64(len(data)) > lim.DecompressedBytes {
			return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrTooLarge, len(data), lim.DecompressedBytes)
		}
		lim.enter(int64(len(data)))
		return bytes.Clone(data), nil
	}
	size, err := trailerSize(data, lim)
	if err != nil {
		return nil, err
	}
	lim.enter(int64(size))
	out, err := inflate(data, size)
	if err != nil {
		return nil, err
	}
	if isGzip(out) {
		return nil, fmt.Errorf("%w: gzip within gzip", ErrInvalid)
	}
	return out, nil
}

func isGzip(data []byte) bool {
	return len(data) >= 2 && data[0] == 0x1f && data[1] == 0x8b
}

func trailerSize(data []byte, lim Limits) (int, error) {
	if len(data) < gzipTail {
		return 0, fmt.Errorf("%w: gzip cut short", ErrInvalid)
	}
	size := int64(binary.LittleEndian.Uint32(data[len(data)-4:]))
	if size > int64(len(data))*maxRatio {
		return 0, fmt.Errorf("%w: gzip trailer claims %d bytes, more than %d compressed bytes can hold", ErrInvalid, size, len(data))
	}
	if size > lim.DecompressedBytes {
		return 0, fmt.Errorf("%w: %d bytes decompressed, at most %d allowed", ErrTooLarge, size, lim.DecompressedBytes)
	}
	return int(size), nil
}

func inflate(data []byte, size int) ([]byte, error) {
	src := bytes.NewReader(data)
	zr, err := gzip.NewReader(src)
	if err != nil {
		return nil, fmt.Errorf("%w: decompressing: %v", ErrInvalid, err)
	}
	zr.Multistream(false)
	out := make([]byte, size)
	if _, err := io.ReadFull(zr, out); err != nil {
		return nil, fmt.Errorf("%w: decompressing: %v", ErrInvalid, err)
	}
	var more [1]byte
	if n, err := io.ReadFull(zr, more[:]); n > 0 || !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: decompressing: size or checksum of the gzip trailer is wrong", ErrInvalid)
	}
	if src.Len() > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow the compressed profile", ErrInvalid, src.Len())
	}
	return out, nil
}
