package draw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/gopprof/gopprof/pkg/profile"
)

// largeBody is the size of a file (bytes) whose drawing takes a worker far beyond what it
// holds when idle.
const largeBody = 128 << 10

// Worker draws one job after the other until in ends. It is what the program whose command
// line New was given runs. The parent limits its time and memory and replaces it when it
// overruns or dies; here a job may fail in any way.
func Worker(in io.Reader, out io.Writer) error {
	for {
		var req request
		err := readHeader(in, &req)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		body, err := readBody(in, req.Size, profile.DefaultLimits().CompressedBytes)
		if err != nil {
			return err
		}
		if err := writeFrame(out, response{}, nil); err != nil {
			return err
		}
		var resp response
		svg, err := work(context.Background(), req, body)
		if err != nil {
			resp.Error, svg = err.Error(), nil
		}
		resp.Size = int64(len(svg))
		if err := writeFrame(out, resp, svg); err != nil {
			return err
		}
		if len(body) > largeBody {
			debug.FreeOSMemory() // it may be the last for a long time
		}
	}
}

// work turns a profile into an SVG as dot writes it.
func work(ctx context.Context, req request, body []byte) ([]byte, error) {
	p, err := profile.Parse(body, profile.DefaultLimits())
	if err != nil {
		return nil, err
	}
	clean, err := p.Clean(req.Kind)
	if err != nil {
		return nil, err
	}
	raw := clean.Raw()
	if len(raw.Sample) == 0 {
		return nil, fmt.Errorf("the %s profile is empty", req.Kind)
	}
	dot, err := composeDOT(clean.Condense(nodeFraction), raw.SampleType[0].Type, req.Nodes)
	if err != nil {
		return nil, err
	}
	return req.Graphviz.run(ctx, dot, limits{CPUSeconds: req.CPUSeconds, MemoryBytes: req.MemoryBytes, OutputBytes: req.SVGBytes})
}
