package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// maxEventBytes bounds one event of a stream, and each of its lines: an operation of a
	// thousand captures is about a megabyte.
	maxEventBytes = 64 << 20
	// silence is how long a stream may bring nothing, not even a comment, before it is
	// taken for dead.
	silence = 45 * time.Second
	// misses is how often in a row an operation may not be had before it is given up.
	misses = 8
	// pollEvery is the pause between two looks, where each brings something.
	pollEvery = time.Second
	// pollMost is the longest pause while nothing is brought.
	pollMost = 10 * time.Second
)

// Follow shows an operation whenever it changes until it has ended, and returns it. Streams
// that end early are opened again, with a look at the operation in between, so that a server
// without streams is polled.
func (c *Client) Follow(ctx context.Context, id string, show func(gopprof.Operation)) (gopprof.Operation, error) {
	var last gopprof.Operation
	missed, pause := 0, pollEvery
	see := func(op gopprof.Operation) bool {
		last, missed, pause = op, 0, pollEvery
		show(op)
		return op.Ended()
	}
	for {
		if ended := c.stream(ctx, id, see); ended {
			return last, nil
		}
		op, err := c.Operation(ctx, id)
		switch {
		case err == nil && see(op):
			return last, nil
		case err != nil && !again(err), missed == misses:
			return last, err
		case err != nil:
			missed++
			pause = min(2*pause, pollMost)
		}
		if err := c.Wait(ctx, pause); err != nil {
			return last, err
		}
	}
}

// stream shows the states of one stream and tells whether the last of them is the
// operation's end. Why a stream ends is of no interest: the next look at the operation
// tells what there is to say.
func (c *Client) stream(ctx context.Context, id string, see func(gopprof.Operation) bool) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive := time.AfterFunc(silence, cancel)
	defer alive.Stop()
	resp, err := c.send(ctx, request{method: "GET", path: api.PathEvents(id), accept: "text/event-stream"})
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if !is(resp, "text/event-stream") {
		return false
	}
	ended := false
	_ = events(resp.Body, maxEventBytes, func() { alive.Reset(silence) }, func(name string, data []byte) error {
		var op gopprof.Operation
		if name != "state" {
			return nil
		}
		if err := json.Unmarshal(data, &op); err != nil || op.ID != id {
			return fmt.Errorf("a state that is none of operation %s", id)
		}
		if ended = see(op); ended {
			return errEnough
		}
		return nil
	})
	return ended
}

var errEnough = errors.New("enough was read")

// events reads server-sent events (WHATWG HTML, 9.2) until the stream or each ends it.
// alive is called for every line. A line, or an event, of more than most bytes is an error.
func events(r io.Reader, most int, alive func(), each func(name string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, most)
	var name string
	var data []byte
	for lines.Scan() {
		alive()
		line := lines.Bytes()
		if len(line) == 0 {
			if data != nil {
				if err := each(name, bytes.TrimSuffix(data, []byte("\n"))); err != nil {
					return err
				}
			}
			name, data = "", nil
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if len(data)+len(value) >= most {
				return bufio.ErrTooLong
			}
			data = append(append(data, value...), '\n')
		}
	}
	return lines.Err()
}
