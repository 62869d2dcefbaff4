package configdoc

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gopprof/gopprof/pkg/config"
)

// scalar writes one value as pkg/config reads it.
func scalar(key string, v reflect.Value) (string, error) {
	if d, ok := v.Interface().(time.Duration); ok {
		return config.FormatDuration(d), nil
	}
	if v.CanInt() && strings.HasSuffix(key, "_bytes") {
		return config.FormatBytes(v.Int()), nil
	}
	text, err := yaml.Marshal(v.Interface())
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", v.Type(), err)
	}
	out := strings.TrimSuffix(string(text), "\n")
	if strings.Contains(out, "\n") {
		return "", fmt.Errorf("writing %s: %q does not fit on a line", v.Type(), out)
	}
	return out, nil
}

// flow writes a list of values on one line.
func (w *writer) flow(key string, v reflect.Value, prefix string) error {
	values := make([]string, v.Len())
	for i := range values {
		text, err := scalar(key, v.Index(i))
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		values[i] = text
	}
	w.line(prefix, "%s: [%s]", key, strings.Join(values, ", "))
	return nil
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
