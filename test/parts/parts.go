// Package parts starts the real parts that tests and the demo meet instead of stand-ins:
// a real InfluxDB, a real S3 server, real cgroups, a real misbehaving service.
//
// Programs that Debian and the Go toolchain do not have by themselves are built by
// `make tools` into .cache/bin of the tree; every port is one that the kernel gave, every
// file lies in a directory of the caller, and every process ends with its Stop.
package parts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNotBuilt is a program that is not there: its tests end by Missing.
var ErrNotBuilt = errors.New("run `make tools` first")

// Binary returns the path of a program that `make tools` builds, or else ErrNotBuilt.
func Binary(name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".cache", "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not built: %w: %w", name, ErrNotBuilt, err)
	}
	return path, nil
}

// Root returns the top of the source tree that the working directory lies in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the source tree: %w", err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("finding the source tree: no go.mod above %q", dir)
		}
	}
}
