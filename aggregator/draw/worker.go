package draw

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	runtimemetrics "runtime/metrics"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

const (
	// large is the size (bytes) of a file, or of what was made of it, that takes a worker far
	// beyond what it holds when idle.
	large = 128 << 10
	// mostIdle is what Go's runtime may hold in a worker without a job. A small file may have
	// taken it far beyond.
	mostIdle = 24 << 20
)

// Work is what a child does that StartChild has started: one job after the other until in
// ends. The body of a job has at most so many bytes. The error of a job is told to the
// parent and ends nothing; its reason too, where it carries one. The parent limits the time
// and memory of it all, and replaces a child that overruns or dies: a job may fail in any
// way.
func Work[J any](in io.Reader, out io.Writer, most int64, do func(job J, body []byte) ([]byte, error)) error {
	for {
		var req request
		err := readHeader(in, &req)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		body, err := readBody(in, req.Size, most)
		if err != nil {
			return err
		}
		var job J
		if err := json.Unmarshal(req.Job, &job); err != nil {
			return fmt.Errorf("%w: %w", errFrame, err)
		}
		if err := writeFrame(out, response{}); err != nil {
			return err
		}
		var resp response
		result, err := do(job, body)
		if err != nil {
			resp.Reason, resp.Error, result = gopprof.ReasonOf(err), wordsOf(err), nil
		}
		resp.Size = int64(len(result))
		if err := writeFrame(out, resp, result); err != nil {
			return err
		}
		if max(len(body), len(result)) > large || resident() > mostIdle {
			body, result = nil, nil
			debug.FreeOSMemory() // it may be the last for a long time
		}
	}
}

// resident is what Go's runtime has of the machine's memory, in bytes.
func resident() uint64 {
	sizes := []runtimemetrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	runtimemetrics.Read(sizes)
	return sizes[0].Value.Uint64() - sizes[1].Value.Uint64()
}

// wordsOf are an error's words beside its reason.
func wordsOf(err error) string {
	if e, ok := errors.AsType[*gopprof.Error](err); ok && e.Detail != "" {
		return e.Detail
	}
	return err.Error()
}

// drawing is a job: the drawing of a profile, which is its body.
type drawing struct {
	Kind        gopprof.Kind `json:"kind"`
	Graphviz    graphviz     `json:"graphviz"`
	Nodes       int          `json:"nodes"`
	CPUSeconds  int          `json:"cpuSeconds"`
	MemoryBytes int64        `json:"memoryBytes"`
	SVGBytes    int64        `json:"svgBytes"`
}

// Worker draws one job after the other until in ends. It is what the program whose command
// line New was given runs.
func Worker(in io.Reader, out io.Writer) error {
	return Work(in, out, profile.DefaultLimits().CompressedBytes, func(job drawing, body []byte) ([]byte, error) {
		return work(context.Background(), job, body)
	})
}

// Cleaned returns the profile of a kind in a file as it may be given to the driver.
func Cleaned(kind gopprof.Kind, file []byte) (*profile.Profile, error) {
	p, err := profile.Parse(file, profile.DefaultLimits())
	if err != nil {
		return nil, err
	}
	return p.Clean(kind)
}

// work turns a profile into an SVG as dot writes it.
func work(ctx context.Context, job drawing, body []byte) ([]byte, error) {
	clean, err := Cleaned(job.Kind, body)
	if err != nil {
		return nil, err
	}
	raw := clean.Raw()
	if len(raw.Sample) == 0 {
		return nil, fmt.Errorf("the %s profile is empty", job.Kind)
	}
	dot, err := composeDOT(clean.Condense(nodeFraction), raw.SampleType[0].Type, job.Nodes)
	if err != nil {
		return nil, err
	}
	return job.Graphviz.run(ctx, dot, limits{CPUSeconds: job.CPUSeconds, MemoryBytes: job.MemoryBytes, OutputBytes: job.SVGBytes})
}
