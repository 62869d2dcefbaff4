package take

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// errContended marks an answer of a target whose profiler somebody else holds.
var errContended = errors.New("profiler in use")

// fetched is one profile and what is known of the moment it was taken.
type fetched struct {
	profile    gopprof.Profile
	target     gopprof.Target // as it was verified
	cpuSeconds float64        // used meanwhile; 0 when it is not known
	requests   float64        // served meanwhile, likewise
}

// fetchPatiently waits while somebody else holds the target's profiler, until the order's
// deadline, if what was taken before may be kept as long. Meanwhile the node's gate is free for
// others.
func (j *job) fetchPatiently(k gopprof.Kind) (fetched, error) {
	for {
		got, err := j.fetch(k)
		if !errors.Is(err, errContended) {
			return got, err
		}
		j.t.metrics.contended.Inc()
		wait := j.t.deps.Jitter(j.t.cfg.ContendedRetry)
		if left := j.order.Deadline.Sub(j.t.deps.Now()); left < wait {
			return got, err
		}
		if !j.stepAside() {
			return got, err
		}
		if !sleep(j.ctx, wait) {
			return got, cancelled()
		}
		if busy := j.enter(); busy != nil && j.ctx.Err() == nil {
			return got, err // no turn before the deadline, and contended until now
		}
	}
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fetch makes one request: verify, dial, verify, read, validate. Around it, and a CPU profile alone, the
// target's requests and its CPU time are read.
func (j *job) fetch(k gopprof.Kind) (fetched, error) {
	if j.ctx.Err() != nil {
		return fetched{}, cancelled()
	}
	start := j.t.deps.Now()
	defer func() { j.late += max(0, j.t.deps.Now().Sub(start)-j.seconds(k)) }()
	if j.room() <= 0 {
		return fetched{}, &Error{Reason: gopprof.ReasonTooLarge, Detail: fmt.Sprintf("the capture has %d bytes without it", j.bytes)}
	}
	target, err := j.verified()
	if err != nil {
		return fetched{}, err
	}
	served := unknown
	if k == gopprof.KindCPU && target.Counter.Metric != "" {
		served = j.counting(target)
		if target, err = j.verified(); err != nil {
			return fetched{}, err
		}
	}
	used := j.metering(k)
	data, err := j.request(target.Endpoint, k)
	if errors.Is(err, errContended) && !k.Timed() { // nobody can hold that kind, whatever the target says
		err = &Error{Reason: gopprof.ReasonStatus, Detail: detailOf(err)}
	}
	if err != nil {
		return fetched{}, err
	}
	got := fetched{target: target, cpuSeconds: used(), requests: served()}
	if err := j.validate(k, data); err != nil {
		return fetched{}, err
	}
	got.profile = j.profile(k, data)
	return got, nil
}

// verified returns the target as it may be dialled now.
func (j *job) verified() (gopprof.Target, error) {
	target, reason := j.t.deps.Verify(j.order.Target)
	if reason != "" {
		return target, &Error{Reason: reason, Detail: "when it was to be dialled"}
	}
	j.order.Target = target // the next connection must be to the same one
	return target, checkEndpoint(target.Endpoint)
}

// unknown is a figure that is not known.
func unknown() float64 { return 0 }

// metering reads the target's CPU time before a CPU profile. The function that it returns reads
// it again and returns what was used between, in seconds; 0 when that is not known.
func (j *job) metering(k gopprof.Kind) (used func() float64) {
	if k != gopprof.KindCPU || j.t.deps.Meter == nil {
		return unknown
	}
	before, err1 := j.t.deps.Meter.CPUSeconds(j.ctx, j.order.Target)
	return func() float64 {
		after, err2 := j.t.deps.Meter.CPUSeconds(j.ctx, j.order.Target)
		if err1 != nil || err2 != nil || !(after > before) {
			return 0
		}
		return after - before
	}
}

func (j *job) profile(k gopprof.Kind, data []byte) gopprof.Profile {
	sum := sha256.Sum256(data)
	p := gopprof.Profile{Kind: k, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Bytes: data}
	p.Seconds = j.seconds(k).Seconds()
	return p
}

// seconds is how long a profile of the kind goes on; 0 for a kind that is not timed.
func (j *job) seconds(k gopprof.Kind) time.Duration {
	if k.Timed() {
		return j.order.CPUSeconds
	}
	return 0
}

// room is how large the next profile may be.
func (j *job) room() int64 { return min(j.t.cfg.MaxBytes, j.t.cfg.MaxCaptureBytes-j.bytes) }

// request gets one page and returns its bytes.
func (j *job) request(e gopprof.Endpoint, k gopprof.Kind) ([]byte, error) {
	limit := j.t.cfg.ConnectTimeout + j.t.cfg.Timeout + j.seconds(k)
	query := url.Values{}
	if k.Timed() {
		query.Set("seconds", strconv.Itoa(int(j.order.CPUSeconds/time.Second)))
	}
	ctx, cancel := context.WithTimeout(j.ctx, limit)
	defer cancel()
	return j.page(ctx, e, e.URL(k.Page(), query), j.room())
}

// page gets one page of an endpoint that was checked, and returns its bytes.
func (j *job) page(ctx context.Context, e gopprof.Endpoint, at *url.URL, maxBytes int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, &Error{Reason: gopprof.ReasonInvalidEndpoint, Err: err}
	}
	req.Header.Set("User-Agent", strings.TrimSuffix("gopprof-agent/"+j.t.deps.Version, "/"))
	if err := j.t.cfg.authorize(req, e); err != nil {
		return nil, err
	}
	var conn net.Conn
	tr, err := transport(j.t.cfg, e, func() net.Conn { return conn })
	if err != nil {
		return nil, &Error{Reason: gopprof.ReasonUnreachable, Err: err}
	}
	if conn, err = j.connect(ctx, e); err != nil {
		return nil, classify(j.ctx, err)
	}
	defer conn.Close()
	data, err := get(tr, req, maxBytes)
	return data, classify(j.ctx, err)
}

// connect makes a connection to an endpoint of the target that was verified, and looks once more
// whether that target is there: connecting takes seconds where packets are lost, and by then
// another pod may have the address.
func (j *job) connect(ctx context.Context, e gopprof.Endpoint) (net.Conn, error) {
	was := j.order.Target.Endpoint
	conn, err := dial(ctx, j.t.cfg, e, j.t.deps.Allow)
	if err != nil {
		return nil, err
	}
	now, err := j.verified()
	if err == nil && now.Endpoint != was {
		err = &Error{Reason: gopprof.ReasonGone, Detail: "it moved while it was dialled"}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// get makes the request by RoundTrip, which follows no redirect, and reads the answer.
func get(tr http.RoundTripper, req *http.Request, maxBytes int64) ([]byte, error) {
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() // closes the connection: it is never kept
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp)
	}
	if resp.ContentLength > maxBytes {
		return nil, tooLarge(maxBytes)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer after %d bytes: %w", len(data), err)
	}
	if int64(len(data)) > maxBytes {
		return nil, tooLarge(maxBytes)
	}
	return data, nil
}

func tooLarge(maxBytes int64) error {
	return &Error{Reason: gopprof.ReasonTooLarge, Detail: fmt.Sprintf("more than %d bytes", maxBytes)}
}
