// Package browser drives a real headless Chromium for tests of pages.
//
// Addresses of pages and a user's acts enter; what the user would see leaves, and with it
// everything that the browser complained about and every request that it made. A test whose
// page logs an error, throws, or asks another host than those it may, fails, whether it looks
// or not. Nothing is ever sent beyond loopback: other hosts are refused before they are
// resolved, and no name but localhost resolves.
//
// Chromium is spoken to in its DevTools protocol over a pipe: no port is opened, and it ends
// with the process that holds the other end. Every target is held until it is recorded, so
// that not even the first request of a tab that a click opened is missed; clients that attach
// to a tab once it is there miss it.
package browser

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// ScreenshotsVariable names the environment variable with the directory that keeps the
// screenshots of all tests, each in a directory of its name.
const ScreenshotsVariable = "GOPPROF_SCREENSHOTS"

// Options are what a test wants of its browser. The zero value is a desktop that may ask
// nobody.
type Options struct {
	// Hosts may be asked, each as "host" (any port) or "host:port". Only 127.0.0.1 and
	// localhost can be reached.
	Hosts []string
	// Login is sent to one origin, and to no other.
	Login Login
	// Viewport of every tab; Desktop by default.
	Viewport Viewport
	// Scheme is the colour scheme that every tab is told the user prefers; Light by default.
	Scheme Scheme
	// Screenshots is the directory for Tab.Screenshot. By default one that
	// ScreenshotsVariable names, else one that ends with the test.
	Screenshots string
	// Patience is how long an act waits for its element and a wait for its condition; 20
	// seconds by default, and never longer than the test may last.
	Patience time.Duration
}

// Login is what one origin is sent.
type Login struct {
	Origin             string // "http://127.0.0.1:8080"
	Username, Password string // of HTTP basic authentication, when the origin asks for it
	Header             map[string]string
}

// Viewport is the size of a tab's page, in CSS pixels.
type Viewport struct {
	Width, Height int
	Mobile        bool // a touch screen, whose pages are laid out as their viewport tag says
}

// The viewports that pages are tested in.
var (
	Desktop = Viewport{Width: 1280, Height: 800}
	Phone   = Viewport{Width: 390, Height: 844, Mobile: true}
)

// Scheme is a value of the media feature prefers-color-scheme.
type Scheme string

// The colour schemes.
const (
	Light Scheme = "light"
	Dark  Scheme = "dark"
)

// Browser is a running Chromium. Its methods, and those of its tabs, are for the test's own
// goroutine: they end the test when what they are to do cannot be done.
type Browser struct {
	t       testing.TB
	ctx     context.Context // ends with the test's time
	options Options
	process *process
	conn    *conn
	shots   string
	netLog  string // file that everything the network did is written to

	mu       sync.Mutex // guards all below
	changed  chan struct{}
	sessions map[string]*session
	tabs     []*Tab
	record   record
	expected []string
	ending   bool // targets may vanish
}

// Start starts Chromium with an empty profile, and ends it with the test. Then the test
// fails for every error that was not expected, and for every request to another host than
// those allowed.
func Start(t testing.TB, o Options) *Browser {
	t.Helper()
	if o.Viewport == (Viewport{}) {
		o.Viewport = Desktop
	}
	if o.Scheme == "" {
		o.Scheme = Light
	}
	if o.Patience == 0 {
		o.Patience = 20 * time.Second
	}
	dir := t.TempDir()
	b := &Browser{
		t: t, options: o, shots: screenshots(t, o), netLog: filepath.Join(dir, "net-log.json"),
		changed: make(chan struct{}), sessions: map[string]*session{}, record: newRecord(o.Hosts),
	}
	var cancel context.CancelFunc
	b.ctx, cancel = bounded(t)
	t.Cleanup(cancel)
	p, err := startProcess(dir, b.netLog)
	if err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	b.process = p
	t.Cleanup(b.end)
	b.conn = newConn(p.out, p.in)
	go b.conn.read(b.handle)
	if err := b.conn.call(b.ctx, "", "Target.setAutoAttach", autoAttach(), nil); err != nil {
		t.Fatalf("starting the browser: %v; it said:\n%s", err, p.said())
	}
	return b
}

// bounded is the test's context with its deadline, less what the end of the browser takes.
func bounded(t testing.TB) (context.Context, context.CancelFunc) {
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := d.Deadline(); ok {
			return context.WithDeadline(t.Context(), deadline.Add(-10*time.Second))
		}
	}
	return context.WithCancel(t.Context())
}

func screenshots(t testing.TB, o Options) string {
	kept := os.Getenv(ScreenshotsVariable)
	switch {
	case o.Screenshots != "":
		return o.Screenshots
	case kept != "":
		return filepath.Join(kept, filepath.FromSlash(t.Name()))
	}
	return t.TempDir()
}

// Open opens the address in a new tab and returns when the page has loaded.
func (b *Browser) Open(address string) *Tab {
	b.t.Helper()
	var made struct{ TargetID string }
	// A window each: a tab behind another one is hidden, and draws nothing.
	if err := b.conn.call(b.ctx, "", "Target.createTarget", args{"url": "about:blank", "newWindow": true}, &made); err != nil {
		b.t.Fatalf("opening a tab: %v", err)
	}
	var tab *Tab
	b.Until("the new tab", func() bool {
		tab = b.tab(made.TargetID)
		b.mu.Lock()
		defer b.mu.Unlock()
		return tab != nil && tab.running
	})
	tab.Navigate(address)
	return tab
}

// Tabs returns the open tabs, in the order they were opened in.
func (b *Browser) Tabs() []*Tab {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.tabs)
}

func (b *Browser) tab(id string) *Tab {
	for _, tab := range b.Tabs() {
		if tab.id == id {
			return tab
		}
	}
	return nil
}

// Expect says that errors which contain the text are part of the test: they do not fail it.
// The test fails when there was none. A request to another host cannot be expected.
func (b *Browser) Expect(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, text)
}

// Messages returns what the browser complained about until now, errors and warnings, of all
// tabs, in order.
func (b *Browser) Messages() []Message {
	b.settle()
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.record.messages)
}

// Errors returns the messages that would fail the test if it ended now.
func (b *Browser) Errors() []Message {
	return slices.DeleteFunc(b.Messages(), func(m Message) bool {
		return m.Kind.harmless() || m.Kind != ForeignRequest && b.isExpected(m)
	})
}

// Requests returns the requests until now, of all tabs, in order; each hop of a redirection
// is one.
func (b *Browser) Requests() []Request {
	b.settle()
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.record.requests)
}

func (b *Browser) isExpected(m Message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.expected, func(text string) bool { return strings.Contains(m.String(), text) })
}

// settle asks each tab something: what it did before it answers, it has told by then.
func (b *Browser) settle() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 5*time.Second)
	defer cancel()
	for _, tab := range b.Tabs() {
		_ = b.conn.call(ctx, tab.session, "Runtime.evaluate", args{"expression": "0"}, nil) // gone is settled
	}
}

// end closes the browser and judges what it recorded.
func (b *Browser) end() {
	b.t.Helper()
	for _, m := range b.Errors() {
		b.t.Errorf("the browser: %s", m)
	}
	for _, text := range b.expected {
		if !slices.ContainsFunc(b.Messages(), func(m Message) bool { return strings.Contains(m.String(), text) }) {
			b.t.Errorf("the browser: no error that contains %q, which the test expects", text)
		}
	}
	b.close()
	b.checkLeaving()
}

// checkLeaving fails the test for what went beyond loopback, whoever of the browser sent it.
func (b *Browser) checkLeaving() {
	b.t.Helper()
	log, err := os.ReadFile(b.netLog)
	if err != nil {
		b.t.Errorf("the browser: no network log: %v; it said:\n%s", err, b.process.said())
		return
	}
	out, err := leaving(log)
	if err != nil {
		b.t.Errorf("the browser: %v", err)
	}
	for _, to := range out {
		b.t.Errorf("the browser: it sent something beyond loopback, to %s", to)
	}
}

// close ends Chromium in good order, which writes its logs, or else by force.
func (b *Browser) close() {
	b.mu.Lock()
	b.ending = true
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 5*time.Second)
	defer cancel()
	_ = b.conn.call(ctx, "", "Browser.close", nil, nil) // else it is killed
	if err := b.process.stop(ctx); err != nil {
		b.t.Errorf("stopping the browser: %v", err)
	}
}
