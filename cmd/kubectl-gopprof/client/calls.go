package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxProfileBytes bounds a profile; servers allow far less.
const maxProfileBytes = 1 << 30

// Capture asks for captures. Under the same key they are made once, however often it is
// called.
func (c *Client) Capture(ctx context.Context, key string, r api.CaptureRequest) (gopprof.Operation, error) {
	var op gopprof.Operation
	return op, c.change(ctx, request{method: http.MethodPost, path: api.PathCaptures, body: r, key: key}, &op)
}

// Operation returns how far an operation has come.
func (c *Client) Operation(ctx context.Context, id string) (gopprof.Operation, error) {
	var op gopprof.Operation
	err := c.get(ctx, api.PathOperation(id), nil, &op)
	return op, other(err, id, op.ID)
}

// Operations returns the operations that the server still knows, newest first.
func (c *Client) Operations(ctx context.Context) ([]gopprof.Operation, error) {
	var list api.OperationList
	err := c.get(ctx, api.PathOperations, nil, &list)
	return list.Operations, err
}

// Cancel stops what of an operation has not ended.
func (c *Client) Cancel(ctx context.Context, id string) (gopprof.Operation, error) {
	var op gopprof.Operation
	return op, c.change(ctx, request{method: http.MethodDelete, path: api.PathOperation(id)}, &op)
}

// Merged returns the profiles of a group as one.
func (c *Client) Merged(ctx context.Context, id string) (api.Merged, error) {
	var m api.Merged
	return m, c.get(ctx, api.PathMerged(id), nil, &m)
}

// Reports returns reports, newest first: as many as limit, page by page.
func (c *Client) Reports(ctx context.Context, query url.Values, limit int) (api.ReportList, error) {
	var out api.ReportList
	for {
		q := url.Values{"limit": {strconv.Itoa(min(limit-len(out.Reports), api.MaxLimit))}}
		for k, v := range query {
			q[k] = slices.Clone(v)
		}
		if out.Next != "" {
			q.Set("after", out.Next)
		}
		var page api.ReportList
		if err := c.get(ctx, api.PathReports, q, &page); err != nil {
			return out, err
		}
		out.Reports, out.Next = append(out.Reports, page.Reports...), page.Next
		if out.Next == "" || len(out.Reports) >= limit {
			return out, nil
		}
	}
}

// Report returns a report.
func (c *Client) Report(ctx context.Context, id string) (gopprof.Report, error) {
	var r gopprof.Report
	err := c.get(ctx, api.PathReport(id), nil, &r)
	return r, other(err, id, r.ID)
}

// other refuses an answer about something else than was asked for.
func other(err error, asked, got string) error {
	if err != nil || asked == got {
		return err
	}
	return &Failure{Sort: Failed, Text: fmt.Sprintf("asked for %s, the server answers with %s", asked, got)}
}

// Targets returns the nodes with their targets.
func (c *Client) Targets(ctx context.Context, query url.Values) (api.TargetList, error) {
	var list api.TargetList
	return list, c.get(ctx, api.PathTargets, query, &list)
}

// Pause returns whether all profiling is switched off.
func (c *Client) Pause(ctx context.Context) (api.PauseState, error) {
	var p api.PauseState
	return p, c.get(ctx, api.PathPause, nil, &p)
}

// SetPause switches all profiling off, or on again.
func (c *Client) SetPause(ctx context.Context, r api.PauseRequest) (api.PauseState, error) {
	var p api.PauseState
	return p, c.change(ctx, request{method: http.MethodPut, path: api.PathPause, body: r}, &p)
}

// Silences returns those that hold, the next to end first.
func (c *Client) Silences(ctx context.Context, query url.Values) (api.SilenceList, error) {
	var list api.SilenceList
	return list, c.get(ctx, api.PathSilences, query, &list)
}

// Silence makes a silence; the same again is the one that is there.
func (c *Client) Silence(ctx context.Context, r api.SilenceRequest) (api.Silence, error) {
	var s api.Silence
	return s, c.change(ctx, request{method: http.MethodPost, path: api.PathSilences, body: r}, &s)
}

// EndSilence ends a silence before its time.
func (c *Client) EndSilence(ctx context.Context, id string) (api.Silence, error) {
	var s api.Silence
	return s, c.ask(ctx, request{method: http.MethodDelete, path: api.PathSilence(id)}, &s)
}

// TestReceiver has a test message sent, once, whatever came of the answer.
func (c *Client) TestReceiver(ctx context.Context, name string) (api.ReceiverTest, error) {
	var r api.ReceiverTest
	return r, c.ask(ctx, request{method: http.MethodPost, path: api.PathReceiverTest(url.PathEscape(name))}, &r)
}

// Download writes the bytes at a path of the API.
func (c *Client) Download(ctx context.Context, path string, to io.Writer) error {
	const octets = "application/octet-stream"
	resp, err := c.send(ctx, request{method: http.MethodGet, path: path, accept: octets + ", " + api.ContentTypeProblem})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if !is(resp, octets) {
		return c.foreign(resp)
	}
	n, err := io.Copy(to, io.LimitReader(resp.Body, maxProfileBytes+1))
	switch {
	case err != nil:
		return &Failure{Sort: Unreachable, Text: fmt.Sprintf("the profile broke off after %d bytes: %v", n, err), Err: err}
	case n > maxProfileBytes:
		return &Failure{Sort: Failed, Text: fmt.Sprintf("the profile is larger than %d bytes", maxProfileBytes)}
	}
	return nil
}
