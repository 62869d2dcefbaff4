package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

var (
	durationType        = reflect.TypeFor[time.Duration]()
	yamlUnmarshalerType = reflect.TypeFor[yaml.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// IsLeaf tells whether a value of the type is read as one, not key by key.
func IsLeaf(t reflect.Type) bool {
	if p := reflect.PointerTo(t); p.Implements(yamlUnmarshalerType) || p.Implements(textUnmarshalerType) {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Struct, reflect.Slice, reflect.Map:
		return false
	}
	return true
}

func (r *reader) leaf(n *yaml.Node, v reflect.Value, key string) {
	if isNull(n) {
		nothing := ""
		if v.Kind() == reflect.String {
			nothing = `, or write "" for nothing`
		}
		r.mistake(key, "is without a value: leave the key out for its default%s", nothing)
		return
	}
	if err := readLeaf(n, v, strings.HasSuffix(key, "_bytes")); err != nil {
		r.mistake(key, "%s", err)
	}
}

func readLeaf(n *yaml.Node, v reflect.Value, bytes bool) error {
	t := v.Type()
	if p := reflect.PointerTo(t); p.Implements(yamlUnmarshalerType) || p.Implements(textUnmarshalerType) || t.Kind() == reflect.Interface {
		return decodeNode(n, v)
	}
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("is %s, must be %s", describe(n), wanted(t))
	}
	switch {
	case t == durationType:
		return readDuration(n, v)
	case t.Kind() == reflect.String:
		return readString(n, v)
	case bytes && v.CanInt() && n.ShortTag() == "!!str":
		return readBytes(n, v)
	}
	return readPlain(n, v)
}

// readDuration wants a unit: the YAML library would take 30 for 30 ns.
func readDuration(n *yaml.Node, v reflect.Value) error {
	d, err := ParseDuration(n.Value)
	if err != nil {
		return err
	}
	v.SetInt(int64(d))
	return nil
}

// ParseDuration reads a duration as configuration files have it: as time.ParseDuration,
// or a whole number of days ("14d").
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/int64(24*time.Hour) {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	return 0, fmt.Errorf("%s is not a duration: write a number and its unit, as 30s, 5m, 1h30m or 14d", quote(s))
}

func readString(n *yaml.Node, v reflect.Value) error {
	if tag := n.ShortTag(); !strings.HasPrefix(tag, "!!") || tag == "!!binary" {
		return fmt.Errorf("is tagged %s, must be plain text", quote(tag))
	}
	v.SetString(n.Value)
	return nil
}

// readBytes reads a size with a unit into a whole number of bytes.
func readBytes(n *yaml.Node, v reflect.Value) error {
	size, err := ParseBytes(n.Value)
	if err != nil {
		return err
	}
	if v.OverflowInt(size) {
		return fmt.Errorf("%s is out of range", quote(n.Value))
	}
	v.SetInt(size)
	return nil
}

// ParseBytes reads a size as configuration files have it: a whole number of bytes, or of
// KiB, MiB, GiB or TiB.
func ParseBytes(s string) (int64, error) {
	number, factor := s, int64(1)
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if rest, ok := strings.CutSuffix(s, unit); ok {
			number, factor = strings.TrimSpace(rest), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is not a size: write bytes, or a whole number of KiB, MiB, GiB or TiB", quote(s))
	}
	if n > math.MaxInt64/factor || n < math.MinInt64/factor {
		return 0, fmt.Errorf("%s is out of range", quote(s))
	}
	return n * factor, nil
}

// readPlain reads numbers and booleans as YAML 1.2 knows them: "yes" is no boolean.
func readPlain(n *yaml.Node, v reflect.Value) error {
	want := map[reflect.Kind]string{reflect.Bool: "!!bool", reflect.Float32: "!!float", reflect.Float64: "!!float"}[v.Kind()]
	if want == "" {
		want = "!!int"
	}
	tag := n.ShortTag()
	if tag != want && !(want == "!!float" && tag == "!!int") {
		return fmt.Errorf("%s is not %s", quote(n.Value), wanted(v.Type()))
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		return fmt.Errorf("%s is out of range or not %s", quote(n.Value), wanted(v.Type()))
	}
	if v.CanFloat() && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)) {
		return fmt.Errorf("%s is not %s", quote(n.Value), wanted(v.Type()))
	}
	return nil
}

func decodeNode(n *yaml.Node, v reflect.Value) error {
	err := n.Decode(v.Addr().Interface())
	var list *yaml.TypeError
	if errors.As(err, &list) {
		return errors.New(strings.Join(list.Errors, "; "))
	}
	return err
}

// wanted names what a value of the type looks like in the file.
func wanted(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return "a number"
	}
	return "a whole number"
}
