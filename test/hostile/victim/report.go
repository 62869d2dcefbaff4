package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/aggregator/explain"
	"github.com/gopprof/gopprof/aggregator/notify/slack"
	"github.com/gopprof/gopprof/aggregator/notify/webhook"
	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/hostile/victim/job"
)

// External is where people reach the aggregator.
const external = "https://gopprof.example"

// report makes a report of files as the aggregator's pipeline does, and shows it in every
// way in which it is shown.
func report(j job.Report) (job.Reported, error) {
	d, err := drawer()
	if err != nil {
		return job.Reported{}, err
	}
	end, err := measure()
	if err != nil {
		return job.Reported{}, err
	}
	var out job.Reported
	c, err := captureOf(j)
	if err != nil {
		return out, err
	}
	c, out.Refused, err = taken(c, j.Text)
	if err == nil {
		err = fetch(&c, j)
		if err == nil {
			err = show(&out, explained(&out, d, c, beside(c, j)))
		}
	} else if errors.Is(err, errRefused) {
		out.Reason, out.Detail, err = gopprof.ReasonUndecodable, err.Error(), nil
	}
	out.Memory = end()
	return out, err
}

// beside is a pod of the same workload that was quiet, and sends the very same.
func beside(c gopprof.Capture, j job.Report) explain.Around {
	quiet := gopprof.Capture{ID: idOther + "0", Target: c.Target}
	paths := map[gopprof.Kind]string{}
	for _, f := range j.Files {
		quiet.Profiles = append(quiet.Profiles, gopprof.Profile{Kind: f.Kind})
		paths[f.Kind] = f.Path
	}
	return explain.Around{Others: []explain.Other{{
		Report: gopprof.Report{ID: quiet.ID, Capture: quiet},
		Read:   func(k gopprof.Kind) ([]byte, error) { return os.ReadFile(paths[k]) },
	}}}
}

// explained is the report, with drawings of what can be drawn.
func explained(out *job.Reported, d *draw.Drawer, c gopprof.Capture, around explain.Around) gopprof.Report {
	less := map[gopprof.Kind][]byte{}
	said := explain.Reading(c, around, profile.DefaultLimits(), func(k gopprof.Kind, p *profile.Profile) { less[k] = draw.Reduced(k, p, c.SizeBytes()) })
	r := gopprof.Report{
		Version: gopprof.ReportVersion, ID: c.ID, Capture: c, MadeAt: time.Now().UTC(),
		Explanation: said, Page: external + api.PathPage(c.ID),
	}
	for i, p := range c.Profiles {
		f := gopprof.File{Kind: p.Kind, Profile: "profile"}
		for _, said := range r.Explanation.Profiles {
			if said.Kind == p.Kind {
				f.Reason, f.Detail = said.Reason, said.Detail
			}
		}
		if f.Reason != "" && out.Reason == "" {
			out.Reason, out.Detail = f.Reason, f.Detail
		}
		if f.Reason == "" && p.Kind != gopprof.KindTrace {
			if file := less[p.Kind]; file != nil {
				p.Bytes = file
			}
			drawn(out, d, p, &f)
			p.Bytes, c.Profiles[i].Bytes = nil, nil
			if p.SizeBytes > 1<<20 {
				debug.FreeOSMemory()
			}
		}
		r.Files = append(r.Files, f)
	}
	return r
}

func drawn(out *job.Reported, d *draw.Drawer, p gopprof.Profile, f *gopprof.File) {
	start := time.Now()
	svg, err := d.Draw(context.Background(), p.Kind, p.Bytes)
	out.DrawSeconds += time.Since(start).Seconds()
	if err != nil {
		f.Reason, f.Detail, out.NoDrawing = gopprof.ReasonDrawFailed, err.Error(), err.Error()
		return
	}
	f.Drawing, out.Drawings = "drawing", append(out.Drawings, svg)
}

// drawer makes the Drawer of all jobs. Its worker has drawn before, so that starting it is
// not counted, and ends when its input does.
var drawer = sync.OnceValues(func() (*draw.Drawer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d, err := draw.New(draw.DefaultConfig(), []string{self, drawWorker}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	_, err = d.Draw(context.Background(), gopprof.KindCPU, profiletest.CPU(1, profiletest.On(1e9, "main.f")))
	return d, err
})

// captureOf is the capture that an agent sends, with the job's text wherever a text of any
// kind may stand.
func captureOf(j job.Report) (gopprof.Capture, error) {
	now := time.Now().UTC()
	c := gopprof.Capture{
		ID: idHostile, Incident: idGood, Start: now.Add(-time.Minute), End: now, Agent: "v1",
		Target:    gopprof.Target{Cluster: "c", Node: "n", Namespace: "shop", Pod: "web-1", Container: "app", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}},
		Trigger:   gopprof.Trigger{Kind: gopprof.TriggerManual, Request: &gopprof.Request{Who: "somebody"}},
		Agreement: gopprof.Agreement{Result: gopprof.AgreementUnavailable, Reason: gopprof.ReasonSeriesAbsurd, Detail: j.Text},
		Failures:  []gopprof.Failure{{Kind: gopprof.KindMutex, Reason: gopprof.ReasonStatus, Detail: j.Text}},
	}
	for _, f := range j.Files {
		from, err := os.Open(f.Path)
		if err != nil {
			return c, fmt.Errorf("reading the profile: %w", err)
		}
		defer from.Close()
		sum := sha256.New()
		size, err := io.Copy(sum, from) // the agent's work: none of its memory is counted
		if err != nil {
			return c, fmt.Errorf("reading the profile: %w", err)
		}
		c.Profiles = append(c.Profiles, gopprof.Profile{Kind: f.Kind, SizeBytes: size, SHA256: hex.EncodeToString(sum.Sum(nil))})
	}
	return c, nil
}

// errRefused is a capture that the aggregator does not take in.
var errRefused = errors.New("not taken in")

// taken is what the aggregator decodes of a capture that has the text in every name; or why
// it refuses that, and what it decodes of the capture as it is.
func taken(c gopprof.Capture, text string) (decoded gopprof.Capture, refused string, err error) {
	with := c
	with.Agent = text
	with.Trigger.Request = &gopprof.Request{Who: text}
	with.Target = gopprof.Target{
		Cluster: text, Node: text + "n", Namespace: text, Pod: text, Container: text, Workload: gopprof.Workload{Kind: text, Name: text},
		Image: text, Owner: text,
	}
	decoded, err = passed(with)
	if err == nil {
		return decoded, "", nil
	}
	refused = err.Error()
	decoded, err = passed(c)
	return decoded, refused, err
}

// passed is what the aggregator decodes of what an agent encoded.
func passed(c gopprof.Capture) (gopprof.Capture, error) {
	data, err := wire.EncodeCapture(c)
	if err == nil {
		c, err = wire.DecodeCapture(data)
	}
	if err != nil {
		return c, fmt.Errorf("%w: %w", errRefused, err)
	}
	return c, nil
}

// fetch reads the bytes as the bus does: in chunks, with no memory reserved on the word of
// the message.
func fetch(c *gopprof.Capture, j job.Report) error {
	for i, f := range j.Files {
		from, err := os.Open(f.Path)
		if err != nil {
			return fmt.Errorf("fetching the profile: %w", err)
		}
		defer from.Close()
		for {
			chunk := make([]byte, 512<<10)
			n, err := io.ReadFull(from, chunk)
			c.Profiles[i].Bytes = append(c.Profiles[i].Bytes, chunk[:n]...)
			if err != nil {
				break
			}
		}
	}
	return nil
}

// show renders the report for everybody.
func show(out *job.Reported, r gopprof.Report) (err error) {
	if out.Event, _, err = webhook.Message(r); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	if out.Slack, _, err = slack.Message(r); err != nil {
		return fmt.Errorf("slack: %w", err)
	}
	cfg := serve.DefaultConfig()
	cfg.ExternalURL = external
	s, err := serve.New(cfg, serve.Deps{Reports: shelf{r}, Captures: nobody{}}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	for path, to := range map[string]*[]byte{"/": &out.List, api.PathPage(r.ID): &out.Page, api.PathReport(r.ID): &out.JSON} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Host = "127.0.0.1"
		s.ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			return fmt.Errorf("%s: status %d: %.200s", path, w.Code, w.Body)
		}
		*to = w.Body.Bytes()
	}
	return nil
}

// shelf holds one report.
type shelf struct{ report gopprof.Report }

func (s shelf) List(context.Context, api.ReportQuery) (api.ReportPage, error) {
	return api.ReportPage{Reports: []gopprof.Report{s.report}}, nil
}
func (s shelf) Report(context.Context, string) (gopprof.Report, error) { return s.report, nil }
func (s shelf) Read(context.Context, string) ([]byte, error)           { return nil, nil }

// nobody takes captures by hand.
type nobody struct{}

func (nobody) Capture(context.Context, gopprof.Manual) (o gopprof.Operation, err error) {
	return o, err
}
func (nobody) CaptureOnce(context.Context, gopprof.Manual) (o gopprof.Operation, before bool, err error) {
	return o, false, err
}
func (nobody) Operation(context.Context, string) (o gopprof.Operation, err error)    { return o, err }
func (nobody) Operations() []gopprof.Operation                                       { return nil }
func (nobody) Follow(context.Context, string, func(gopprof.Operation) bool) error    { return nil }
func (nobody) Pause(context.Context) (s api.PauseState, err error)                   { return s, err }
func (nobody) SetPause(context.Context, gopprof.Pause) (s api.PauseState, err error) { return s, err }
func (nobody) RetryAfter() time.Duration                                             { return time.Minute }
func (nobody) Cancel(context.Context, string) (o gopprof.Operation, err error)       { return o, err }
func (nobody) Nodes() []gopprof.NodeState                                            { return nil }
func (nobody) StaleAfter() time.Duration                                             { return time.Minute }
