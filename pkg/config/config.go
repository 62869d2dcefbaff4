// Package config reads a program's configuration: a YAML file enters, a filled struct
// leaves, or all of the file's mistakes at once, each with its line and key.
//
// The struct holds the defaults before it is read and its doc comments are the manual.
// A mistake is never passed over: an unknown key, a key twice, a value of another type, a
// number without a unit where a duration belongs are all refused. Secrets never stand in
// the file itself; it names files that hold them (SecretFile).
package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
)

// maxBytes bounds a configuration file; the largest real one is a few kilobytes.
const maxBytes = 1 << 20

// Checker is implemented by configuration structs that know which values make no sense.
// Check reports every mistake, not only the first; key is the YAML key below the struct
// ("listen", "tls.cert_file", "rules[2].window").
// Structs inside that are Checkers themselves are found and asked by Parse.
type Checker interface {
	Check(report func(key, problem string))
}

// Load reads the file at path over the defaults that *into holds. Mistakes in the file
// are returned as Errors; *into is then half filled and must not be used.
//
// A directory stands for its files *.yaml, read one over the other in the order of their
// names and checked as one: what a later file says of a key counts, and a list or table
// in it replaces the earlier one as a whole. So a ConfigMap can be put together of parts.
func Load(path string, into any) error {
	paths, err := files(path)
	if err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	sources := make([]source, 0, len(paths))
	for _, p := range paths {
		data, err := readBounded(p, maxBytes)
		if err != nil {
			return fmt.Errorf("reading configuration: %w", err)
		}
		sources = append(sources, source{p, data})
	}
	return parseInto(sources, into)
}

// Parse is Load for bytes; name stands in the mistakes as the file.
func Parse(name string, data []byte, into any) error {
	return parseInto([]source{{name, data}}, into)
}

// source is one file.
type source struct {
	name string
	data []byte
}

func parseInto(sources []source, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("parsing configuration %q: into %T, which is not a pointer to a struct", sources[0].name, into)
	}
	return parse(sources, v.Elem())
}

// files returns path, or what it stands for.
func files(path string) ([]string, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []string{path}, nil // that it is missing is told where it is read
	}
	found, err := filepath.Glob(filepath.Join(path, "*.yaml")) // in the order of names
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("directory %q: %w", path, errNoFiles)
	}
	return found, nil
}

var errNoFiles = errors.New("holds no *.yaml file")

func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("file %q: %w of %d bytes", path, errTooLarge, most)
	}
	return data, nil
}

var errTooLarge = errors.New("larger than the bound")
