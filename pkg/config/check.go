package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// check asks every Checker in v, from the outside in. v is addressable.
func (r *reader) check(v reflect.Value, key string) {
	if c, ok := checkerOf(v); ok {
		c.Check(func(below, problem string) { r.report(join(key, below), problem) })
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			r.check(v.Elem(), key)
		}
	case reflect.Struct:
		r.checkFields(v, key)
	case reflect.Slice:
		for i := range v.Len() {
			r.check(v.Index(i), fmt.Sprintf("%s[%d]", key, i))
		}
	case reflect.Map:
		r.checkMap(v, key)
	}
}

// checkerOf leaves out embedded structs of unexported types: their Check, if any, is
// promoted to the struct around them.
func checkerOf(v reflect.Value) (Checker, bool) {
	if !v.Addr().CanInterface() {
		return nil, false
	}
	c, ok := v.Addr().Interface().(Checker)
	return c, ok
}

func (r *reader) checkFields(v reflect.Value, key string) {
	if IsLeaf(v.Type()) {
		return
	}
	for i := range v.NumField() {
		if name, ok := keyOf(v.Type().Field(i)); ok {
			r.check(v.Field(i), join(key, name))
		}
	}
}

func (r *reader) checkMap(v reflect.Value, key string) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		element := reflect.New(v.Type().Elem()).Elem()
		element.Set(v.MapIndex(k))
		r.check(element, join(key, k.String()))
	}
}

// report records what a Checker said, unless the key or a parent of it could not even be
// read: then the Checker looked at a default.
func (r *reader) report(key, problem string) {
	for k := key; ; k = parent(k) {
		if r.wrong[k] && k != "" {
			return
		}
		if k == "" {
			break
		}
	}
	r.file = r.files[r.nearest(key)]
	r.add(r.lineOf(key), key, problem)
}
