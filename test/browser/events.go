package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// world is the name of the isolated world that the tests' scripts run in: they see the page,
// its scripts do not see them, and its CSP does not hold for them.
const world = "gopprof-test"

// binding is the function by which watch.js tells that the page has changed.
const binding = "gopprofChanged"

// run lets a target run that was held.
const run = "Runtime.runIfWaitingForDebugger"

//go:embed watch.js
var watch string

// session is the browser's side of one target: a page, a frame of its own process or a worker.
type session struct {
	id  string
	tab *Tab
}

// autoAttach asks for every target but the browser's own windows and what shows them.
func autoAttach() args {
	filter := []args{{"type": "browser", "exclude": true}, {"type": "browser_ui", "exclude": true}, {"type": "tab", "exclude": true}, {}}
	return args{"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true, "filter": filter}
}

// handle takes an event in. It runs on the goroutine that reads, and so never waits for an
// answer.
func (b *Browser) handle(e event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.take(e); err != nil {
		b.complain(e, Trouble, err.Error(), "", 0)
	}
	b.wakeAll()
}

// wakeAll lets whatever waits look again.
func (b *Browser) wakeAll() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// take is called with the lock held, as are all below.
func (b *Browser) take(e event) error {
	switch e.Method {
	case "Target.attachedToTarget":
		return with(e, b.attached)
	case "Target.detachedFromTarget":
		return with(e, b.detached)
	case "Inspector.targetCrashed":
		b.complain(e, Trouble, "the tab crashed", "", 0)
	case "Page.lifecycleEvent":
		return with(e, b.lifecycle)
	case "Page.javascriptDialogOpening":
		return with(e, b.dialog)
	case "Runtime.consoleAPICalled":
		return with(e, b.console)
	case "Runtime.exceptionThrown":
		return with(e, b.exception)
	case "Log.entryAdded":
		return with(e, b.entry)
	case "Fetch.requestPaused":
		return with(e, b.paused)
	case "Fetch.authRequired":
		return with(e, b.challenged)
	}
	if strings.HasPrefix(e.Method, "Network.") {
		return with(e, b.network)
	}
	return nil
}

func (b *Browser) tabOf(e event) *Tab {
	if s := b.sessions[e.SessionID]; s != nil {
		return s.tab
	}
	return nil
}

func (b *Browser) complain(e event, kind Kind, text, url string, line int) {
	b.record.messages = append(b.record.messages, Message{kind, text, url, line, b.tabOf(e)})
}

// attached prepares a new target, and only then lets it run.
func (b *Browser) attached(e event, p struct {
	SessionID  string
	TargetInfo struct{ TargetID, Type string }
}) {
	s := &session{id: p.SessionID, tab: b.tabOf(e)}
	page := p.TargetInfo.Type == "page"
	if page {
		s.tab = &Tab{b: b, id: p.TargetInfo.TargetID, session: p.SessionID, scheme: b.options.Scheme}
		b.tabs = append(b.tabs, s.tab)
	}
	b.sessions[s.id] = s
	b.prepare(s, "Runtime.enable", nil, page)
	b.prepare(s, "Network.enable", nil, page)
	b.prepare(s, "Log.enable", nil, page)
	b.prepare(s, "Fetch.enable", args{"patterns": []args{{"urlPattern": "*"}}, "handleAuthRequests": true}, page)
	b.prepare(s, "Target.setAutoAttach", autoAttach(), page)
	if page {
		b.preparePage(s)
	}
	b.prepare(s, run, nil, page)
}

func (b *Browser) preparePage(s *session) {
	b.prepare(s, "Inspector.enable", nil, true)
	b.prepare(s, "Page.enable", nil, true)
	b.prepare(s, "Page.setLifecycleEventsEnabled", args{"enabled": true}, true)
	b.prepare(s, "Runtime.addBinding", args{"name": binding, "executionContextName": world}, true)
	b.prepare(s, "Page.addScriptToEvaluateOnNewDocument", args{"source": watch, "worldName": world, "runImmediately": true}, true)
	b.prepare(s, "Emulation.setDeviceMetricsOverride", b.options.Viewport.metrics(), true)
	b.prepare(s, "Emulation.setTouchEmulationEnabled", args{"enabled": b.options.Viewport.Mobile}, true)
	b.prepare(s, "Emulation.setEmulatedMedia", b.options.Scheme.media(), true)
	b.prepare(s, "Emulation.setFocusEmulationEnabled", args{"enabled": true}, true)
}

// prepare sends a command that must succeed, for a page; workers and frames lack some of them.
func (b *Browser) prepare(s *session, method string, params args, must bool) {
	b.conn.send(s.id, method, params, func(m message) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if s.tab != nil && method == run {
			s.tab.running = true
			b.wakeAll()
		}
		if must && m.Error != nil && !b.ending && b.sessions[s.id] != nil {
			b.record.messages = append(b.record.messages, Message{Trouble, method + ": " + m.Error.Error(), "", 0, s.tab})
		}
	})
}

func (b *Browser) detached(_ event, p struct{ SessionID string }) {
	delete(b.sessions, p.SessionID)
	for i, tab := range b.tabs {
		if tab.session == p.SessionID {
			b.tabs = append(b.tabs[:i:i], b.tabs[i+1:]...)
			break
		}
	}
}

func (b *Browser) lifecycle(e event, p struct{ FrameID, LoaderID, Name string }) {
	if tab := b.tabOf(e); tab != nil && p.FrameID == tab.id && p.Name == "load" {
		tab.loaded = p.LoaderID
	}
}

func (b *Browser) dialog(e event, p struct{ URL, Message, Type string }) {
	b.complain(e, Dialog, fmt.Sprintf("%s: %s", p.Type, p.Message), p.URL, 0)
	b.conn.send(e.SessionID, "Page.handleJavaScriptDialog", args{"accept": true}, nil)
}

// stack is where a script was; lines count from 0.
type stack struct {
	CallFrames []struct {
		URL        string
		LineNumber int
	}
}

func (s stack) top() (url string, line int) {
	if len(s.CallFrames) == 0 {
		return "", 0
	}
	return s.CallFrames[0].URL, s.CallFrames[0].LineNumber + 1
}

// consoleKinds are those of what is complained about on the console, by a script or by the
// browser; of what else is said there nothing is kept.
var consoleKinds = map[string]Kind{"error": ConsoleError, "assert": ConsoleError, "warning": ConsoleWarning}

func (b *Browser) console(e event, p struct {
	Type string
	Args []struct {
		Value       json.RawMessage
		Description string
	}
	StackTrace stack
}) {
	kind, ok := consoleKinds[p.Type]
	if !ok {
		return
	}
	var words []string
	for _, a := range p.Args {
		word := a.Description
		if word == "" && json.Unmarshal(a.Value, &word) != nil {
			word = string(a.Value)
		}
		words = append(words, word)
	}
	url, line := p.StackTrace.top()
	b.complain(e, kind, strings.Join(words, " "), url, line)
}

func (b *Browser) exception(e event, p struct {
	ExceptionDetails struct {
		Text       string
		Exception  struct{ Description string }
		URL        string
		LineNumber int
	}
}) {
	d := p.ExceptionDetails
	b.complain(e, Exception, strings.TrimSpace(d.Text+" "+d.Exception.Description), d.URL, d.LineNumber+1)
}

// entry takes in what the browser itself says about a page.
func (b *Browser) entry(e event, p struct {
	Entry struct {
		Level, Text, URL string
		LineNumber       *int
	}
}) {
	kind, ok := consoleKinds[p.Entry.Level]
	if !ok {
		return
	}
	line := 0
	if p.Entry.LineNumber != nil {
		line = *p.Entry.LineNumber + 1
	}
	b.complain(e, kind, p.Entry.Text, p.Entry.URL, line)
}

func (b *Browser) network(e event, p struct {
	RequestID     string
	URL           string // of a WebSocket
	Request       struct{ Method, URL string }
	Response      struct{ Status int }
	RedirectReply *struct{ Status int } `json:"redirectResponse"`
	ErrorText     string
	ErrorMessage  string
	BlockedReason string
	Canceled      bool
}) {
	switch e.Method {
	case "Network.requestWillBeSent":
		if p.RedirectReply != nil {
			b.record.answered(p.RequestID, p.RedirectReply.Status)
		}
		b.record.asked(Request{Method: p.Request.Method, URL: p.Request.URL, Tab: b.tabOf(e), id: p.RequestID})
	case "Network.webSocketCreated":
		b.record.asked(Request{Method: "GET", URL: p.URL, Tab: b.tabOf(e), id: p.RequestID})
	case "Network.responseReceived", "Network.webSocketHandshakeResponseReceived":
		b.record.answered(p.RequestID, p.Response.Status)
	case "Network.loadingFailed":
		failure := p.ErrorText
		if p.BlockedReason != "" {
			failure += ", blocked: " + p.BlockedReason
		}
		b.record.failed(p.RequestID, failure, p.Canceled && p.BlockedReason == "")
	case "Network.webSocketFrameError":
		b.record.failed(p.RequestID, p.ErrorMessage, false)
	}
}
