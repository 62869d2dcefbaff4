package config

import (
	"bytes"
	"errors"
	"io"
	"reflect"

	"go.yaml.in/yaml/v3"
)

func parse(name string, data []byte, into reflect.Value) error {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(into.Addr().Interface()); err != nil && !errors.Is(err, io.EOF) {
		return Errors{{File: name, Line: 1, Problem: err.Error()}}
	}
	return nil
}
