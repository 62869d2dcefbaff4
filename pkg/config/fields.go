package config

import (
	"reflect"
	"strings"
)

// Field is one YAML key of a configuration struct.
type Field struct {
	Key   string
	Index []int // as for reflect.Value.FieldByIndex
}

// Fields lists the keys of a struct type in their order, those of inlined structs in
// their place.
func Fields(t reflect.Type) []Field {
	var out []Field
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := keyOf(f)
		if ok && name == "" {
			for _, inner := range Fields(f.Type) {
				out = append(out, Field{inner.Key, append([]int{i}, inner.Index...)})
			}
		} else if ok {
			out = append(out, Field{name, []int{i}})
		}
	}
	return out
}

// keyOf returns the YAML key of a struct's field, "" for an inlined struct, or false when
// the field is not configurable. A field without a tag has its name in lower case, as in
// the YAML library.
func keyOf(f reflect.StructField) (string, bool) {
	name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	switch {
	case name == "-" || !f.IsExported() && !f.Anonymous:
		return "", false
	case strings.Contains(options, "inline") && f.Type.Kind() == reflect.Struct:
		return "", true
	case !f.IsExported():
		return "", false
	case name == "":
		return strings.ToLower(f.Name), true
	}
	return name, true
}

// suggest names the known key that a wrong one was most likely meant to be, or all of
// them when there are few.
func suggest(name string, fields []Field) string {
	best, distance := "", 3
	var names []string
	for _, f := range fields {
		names = append(names, f.Key)
		if d := editDistance(name, f.Key); d < distance {
			best, distance = f.Key, d
		}
	}
	switch {
	case best != "":
		return ", did you mean " + best + "?"
	case len(names) > 0 && len(names) <= 8:
		return ", known here are " + strings.Join(names, ", ")
	}
	return ""
}

// editDistance is Levenshtein's, over bytes; long names are not compared.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
