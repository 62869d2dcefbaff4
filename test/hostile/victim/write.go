package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
	"github.com/gopprof/gopprof/test/hostile/victim/job"
)

// payloads writes the corpus's payloads into files: the race detector, under which tests
// run, would take minutes for it.
func payloads(j job.Write) (job.Written, error) {
	all := job.Written{}
	for _, c := range hostile.Cases("127.0.0.1:1") {
		if c.Payload == nil {
			continue
		}
		all[c.Name] = map[gopprof.Kind]string{}
		for _, k := range c.Kinds() {
			path, err := writeOne(j, c.Of(k))
			if errors.Is(err, errEnough) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("writing %q: %w", c.Name, err)
			}
			all[c.Name][k] = path
		}
	}
	return all, nil
}

// errEnough ends a payload that is longer.
var errEnough = errors.New("enough")

func writeOne(j job.Write, p hostile.Payload) (path string, err error) {
	f, err := os.CreateTemp(j.Dir, "payload")
	if err != nil {
		return "", err
	}
	err = errors.Join(p(&limited{f, j.Most}), f.Close())
	if err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

type limited struct {
	w    io.Writer
	left int64
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, errEnough
	}
	return l.w.Write(p)
}
