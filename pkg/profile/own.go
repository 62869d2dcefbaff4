package profile

import (
	"strings"
)

// Owner is whose code a function is.
type Owner int

// The owners.
const (
	OwnerRuntime Owner = iota // Go's own packages, C code, what has no name
	OwnerLibrary              // a module that the program was built with
	OwnerService              // the program itself
)

// Owners tells for each of the profile's functions whose it is. A library is known by the
// path of its source, which holds its version ("@v1.2.3"), or lies below a vendor or
// external directory. The module of package main is the service's wherever it lies: `go
// install` builds a program out of the module cache. Where no function is known as the
// service's, such as in a profile without paths, every function outside Go's own packages
// counts as such.
func (w *Weighed) Owners() []Owner {
	home := w.mainModule()
	out := make([]Owner, len(w.Functions))
	some := false
	for i, f := range w.Functions {
		switch {
		case !OfProgram(f.Name):
		case home != "" && strings.HasPrefix(f.File, home), !ofLibrary(f.File):
			out[i], some = OwnerService, true
		default:
			out[i] = OwnerLibrary
		}
	}
	if !some {
		for i := range out {
			if out[i] == OwnerLibrary {
				out[i] = OwnerService
			}
		}
	}
	return out
}

// mainModule returns the directory of the module that package main is of, with its version,
// if that lies among libraries.
func (w *Weighed) mainModule() string {
	for _, f := range w.Functions {
		if PackageOf(f.Name) != "main" {
			continue
		}
		if at := strings.LastIndex(f.File, "@v"); at >= 0 {
			end := strings.IndexByte(f.File[at:], '/')
			if end > 0 {
				return f.File[:at+end+1]
			}
		}
	}
	return ""
}

func ofLibrary(file string) bool {
	return strings.Contains(file, "@v") || strings.Contains(file, "/vendor/") || strings.HasPrefix(file, "vendor/") ||
		strings.HasPrefix(file, "external/") || strings.Contains(file, "/external/")
}

// Generic tells whether a function is on so many unrelated stacks that it says nothing.
func Generic(name string) bool {
	switch name {
	case "runtime.main", "runtime.goexit", "runtime.mcall", "runtime.systemstack", "runtime.mstart", "runtime.mstart0",
		"runtime.mstart1", "runtime.rt0_go", "runtime.morestack", "runtime.newstack", "<unknown>":
		return true
	}
	return strings.HasPrefix(name, "[")
}

// OfProgram tells whether a function is of the program or one of its libraries: not of
// Go's own packages, not of C code, not without a name.
func OfProgram(name string) bool {
	pkg := PackageOf(name)
	if pkg == "" || strings.HasPrefix(pkg, "vendor/golang.org/") {
		return false
	}
	first, _, _ := strings.Cut(pkg, "/")
	return !standard(first)
}

// PackageOf returns the import path in the name of a Go function, "" for other names. In
// names like example.com/a%2eb/c.(*T[...]).f the path ends at the first dot after its last
// slash.
func PackageOf(name string) string {
	name, _, _ = strings.Cut(name, "[")
	slash := strings.LastIndexByte(name, '/')
	dot := strings.IndexByte(name[slash+1:], '.')
	if dot <= 0 {
		return ""
	}
	return name[:slash+1+dot]
}

// standard tells whether a path that begins with this element belongs to Go itself.
// Modules have a dot in their first element by custom, and where they have none, they
// seldom have one of these names.
func standard(first string) bool {
	switch first {
	case "archive", "bufio", "bytes", "cmp", "compress", "container", "context", "crypto", "database", "debug", "embed",
		"encoding", "errors", "expvar", "flag", "fmt", "go", "hash", "html", "image", "index", "internal", "io", "iter",
		"log", "maps", "math", "mime", "net", "os", "path", "plugin", "reflect", "regexp", "runtime", "slices", "sort",
		"strconv", "strings", "structs", "sync", "syscall", "testing", "text", "time", "type", "unicode", "unique",
		"unsafe", "weak", "_cgo_export", "_rt0":
		return true
	}
	return false
}

// majorVersion tells whether the last element of an import path says nothing by itself.
func majorVersion(s string) bool {
	if len(s) < 2 || s[0] != 'v' {
		return false
	}
	return strings.Trim(s[1:], "0123456789") == ""
}

// Short writes a function's name without the directories of its package and without what
// its types are instantiated with, as pprof's graphs do: shop/internal/cart.(*Cart).Total is
// cart.(*Cart).Total, slices.SortFunc[go.shape.[]int,go.shape.int] is slices.SortFunc[...].
func Short(name string) string {
	name = withoutArguments(name)
	pkg := PackageOf(name)
	parts := strings.Split(pkg, "/")
	last := parts[len(parts)-1]
	if majorVersion(last) && len(parts) > 1 {
		last = parts[len(parts)-2]
	}
	return last + name[len(pkg):]
}

// withoutArguments replaces each list of type arguments.
func withoutArguments(name string) string {
	if !strings.Contains(name, "[") {
		return name
	}
	var b strings.Builder
	depth := 0
	for _, r := range name {
		switch r {
		case '[':
			if depth++; depth == 1 {
				b.WriteString("[...]")
			}
		case ']':
			depth = max(0, depth-1)
		default:
			if depth == 0 {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}
