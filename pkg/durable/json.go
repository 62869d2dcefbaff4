package durable

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxJSONBytes bounds what ReadJSON reads: state files are small, and one that is not is
// damaged.
const maxJSONBytes = 64 << 20

// WriteJSON replaces the file with the value's JSON.
func WriteJSON(path string, v any, mode fs.FileMode) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding %q: %w", path, err)
	}
	return WriteFile(path, append(data, '\n'), mode)
}

// ReadJSON reads a file that WriteJSON wrote. The error of a file that does not exist is
// fs.ErrNotExist.
func ReadJSON(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading state: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJSONBytes+1))
	if err != nil {
		return fmt.Errorf("reading state: %w", err)
	}
	if len(data) > maxJSONBytes {
		return fmt.Errorf("reading state %q: more than %d bytes", path, maxJSONBytes)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("decoding %q: %w", path, err)
	}
	return nil
}
