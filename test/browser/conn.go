package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// args are the parameters of a command, by the names of the DevTools protocol:
// https://chromedevtools.github.io/devtools-protocol/
type args = map[string]any

var errClosed = errors.New("the browser has ended")

// conn is the DevTools protocol over Chromium's pipe: messages in JSON, each ended by a zero
// byte. Commands never wait for the pipe: whoever reads events may send them.
type conn struct {
	in     *bufio.Reader
	closed chan struct{} // when nothing more can be read

	mu     sync.Mutex // guards all below
	last   int64
	calls  map[int64]func(message) // those not answered yet
	unsent []message
	wake   chan struct{} // holds one when unsent may have grown
}

// message is a command, its answer or an event.
type message struct {
	ID        int64           `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"` // "" is the browser itself
	Method    string          `json:"method,omitempty"`
	Params    any             `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *protocolError  `json:"error,omitempty"`
}

// event is a message whose parameters are still to be read.
type event struct {
	message
	Params json.RawMessage `json:"params"`
}

// with hands an event on with its parameters, read into a P.
func with[P any](e event, take func(event, P)) error {
	var p P
	if err := json.Unmarshal(e.Params, &p); err != nil {
		return fmt.Errorf("reading %s: %w", e.Method, err)
	}
	take(e, p)
	return nil
}

type protocolError struct {
	Message string `json:"message"`
	Data    string `json:"data"`
}

func (e *protocolError) Error() string {
	if e.Data != "" {
		return e.Message + ": " + e.Data
	}
	return e.Message
}

func newConn(in io.Reader, out io.Writer) *conn {
	c := &conn{
		in: bufio.NewReaderSize(in, 64<<10), closed: make(chan struct{}),
		calls: map[int64]func(message){}, wake: make(chan struct{}, 1),
	}
	go c.write(out)
	return c
}

// call sends a command and waits for its answer, which it reads into result unless that is nil.
func (c *conn) call(ctx context.Context, session, method string, params args, result any) error {
	answer := make(chan message, 1)
	c.send(session, method, params, func(m message) { answer <- m })
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("%s: %w", method, m.Error)
		}
		if result == nil {
			return nil
		}
		if err := json.Unmarshal(m.Result, result); err != nil {
			return fmt.Errorf("%s: reading the answer: %w", method, err)
		}
		return nil
	case <-c.closed:
		return fmt.Errorf("%s: %w", method, errClosed)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, context.Cause(ctx))
	}
}

// send sends a command; commands arrive in the order they are sent in. The answer goes to
// then, on the goroutine that reads.
func (c *conn) send(session, method string, params args, then func(message)) {
	c.mu.Lock()
	c.last++
	m := message{ID: c.last, SessionID: session, Method: method}
	if params != nil {
		m.Params = params
	}
	c.calls[m.ID] = then
	c.unsent = append(c.unsent, m)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) write(out io.Writer) {
	for {
		select {
		case <-c.wake:
		case <-c.closed:
			return
		}
		c.mu.Lock()
		batch := c.unsent
		c.unsent = nil
		c.mu.Unlock()
		for _, m := range batch {
			data, err := json.Marshal(m)
			if err != nil {
				panic(err) // only args are marshalled
			}
			if _, err := out.Write(append(data, 0)); err != nil {
				return // the reader ends too, and says so
			}
		}
	}
}

// read hands each event to handle, in order, until the pipe is closed.
func (c *conn) read(handle func(event)) {
	defer close(c.closed)
	for {
		data, err := c.in.ReadBytes(0)
		if err != nil {
			return
		}
		var e event
		if err := json.Unmarshal(data[:len(data)-1], &e); err != nil {
			continue // not of the protocol
		}
		if e.ID == 0 {
			handle(e)
			continue
		}
		c.mu.Lock()
		then := c.calls[e.ID]
		delete(c.calls, e.ID)
		c.mu.Unlock()
		if then != nil {
			then(e.message)
		}
	}
}
