package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Tab is an open tab.
type Tab struct {
	b       *Browser
	id      string // of the target, and of its main frame
	session string
	scheme  Scheme // for the test's goroutine only

	// Guarded by b.mu.
	running bool   // it is no longer held
	loaded  string // the newest document that has loaded
}

// answerTime is how long a tab may take for an answer: a page can keep it busy for ever.
const answerTime = 30 * time.Second

// call sends a command to the tab. One that is not answered in time fails.
func (tab *Tab) call(method string, params args, result any) error {
	ctx, cancel := context.WithTimeout(tab.b.ctx, answerTime)
	defer cancel()
	return tab.b.conn.call(ctx, tab.session, method, params, result)
}

func (tab *Tab) must(method string, params args) {
	tab.b.t.Helper()
	if err := tab.call(method, params, nil); err != nil {
		tab.b.t.Fatal(err)
	}
}

// Navigate goes to the address and returns when the page has loaded, whatever the status of
// the answer.
func (tab *Tab) Navigate(address string) {
	tab.b.t.Helper()
	var went struct{ LoaderID, ErrorText string }
	if err := tab.call("Page.navigate", args{"url": address}, &went); err != nil {
		tab.b.t.Fatalf("opening %s: %v", address, err)
	}
	if went.ErrorText != "" {
		tab.b.t.Fatalf("opening %s: %s%s", address, went.ErrorText, tab.b.state())
	}
	if went.LoaderID == "" {
		return // the same document
	}
	tab.b.Until("the load of "+address, func() bool {
		tab.b.mu.Lock()
		defer tab.b.mu.Unlock()
		return tab.loaded == went.LoaderID
	})
}

// Close closes the tab, and returns when it is gone.
func (tab *Tab) Close() {
	tab.b.t.Helper()
	tab.must("Page.close", nil)
	tab.b.Until("the end of the tab", func() bool { return tab.b.tab(tab.id) == nil })
}

// URL returns where the tab is.
func (tab *Tab) URL() string {
	tab.b.t.Helper()
	var address string
	tab.Eval("location.href", &address)
	return address
}

// Eval reads the value of a JavaScript expression, or of its promise, into value, as
// encoding/json does. It sees the page's document, not the variables of the page's scripts.
func (tab *Tab) Eval(expression string, value any) {
	tab.b.t.Helper()
	if err := tab.eval(expression, value); err != nil {
		tab.b.t.Fatalf("%.200s: %v", expression, err)
	}
}

// Wait waits until a JavaScript expression, as Eval takes it, is true. One that throws, as it
// may while a page is not there yet, is not.
func (tab *Tab) Wait(expression string) {
	tab.b.t.Helper()
	tab.b.until(expression, func() error {
		var holds bool
		if err := tab.eval("(async () => { try { return !!(await ("+expression+")) } catch (e) { throw String(e) } })()", &holds); err != nil {
			return err
		}
		if !holds {
			return errors.New("it is not true")
		}
		return nil
	})
}

func (tab *Tab) eval(expression string, value any) error {
	context, err := tab.context()
	if err != nil {
		return err
	}
	got, err := tab.remote("Runtime.evaluate", args{"expression": expression, "contextId": context, "returnByValue": true, "awaitPromise": true})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(got.Value, value); err != nil {
		return hopeless{fmt.Errorf("reading %.100s: %w", got.Value, err)}
	}
	return nil
}

// context returns the execution context of the isolated world in the present document.
func (tab *Tab) context() (int, error) {
	var made struct{ ExecutionContextID int }
	err := tab.call("Page.createIsolatedWorld", args{"frameId": tab.id, "worldName": world}, &made)
	return made.ExecutionContextID, err
}

// remoteObject is a JavaScript value: by value, or by the id of an object in the page.
type remoteObject struct {
	Value    json.RawMessage
	ObjectID string
}

// remote runs a command that runs JavaScript.
func (tab *Tab) remote(method string, params args) (remoteObject, error) {
	var got struct {
		Result           remoteObject
		ExceptionDetails *struct {
			Text      string
			Exception struct {
				Description string
				Value       any // what is thrown that is no Error
			}
		}
	}
	if err := tab.call(method, params, &got); err != nil {
		return remoteObject{}, err
	}
	if d := got.ExceptionDetails; d != nil {
		if text, ok := d.Exception.Value.(string); ok {
			return remoteObject{}, errors.New(text)
		}
		return remoteObject{}, hopeless{errors.New(d.Text + " " + d.Exception.Description)}
	}
	return got.Result, nil
}

func (v Viewport) metrics() args {
	return args{"width": v.Width, "height": v.Height, "deviceScaleFactor": 1, "mobile": v.Mobile}
}

// SetViewport makes the tab another size.
func (tab *Tab) SetViewport(v Viewport) {
	tab.b.t.Helper()
	tab.must("Emulation.setDeviceMetricsOverride", v.metrics())
	tab.must("Emulation.setTouchEmulationEnabled", args{"enabled": v.Mobile})
}

func (s Scheme) media() args {
	return args{"features": []args{{"name": "prefers-color-scheme", "value": string(s)}}}
}

// SetScheme tells the page that the user prefers that colour scheme.
func (tab *Tab) SetScheme(s Scheme) {
	tab.b.t.Helper()
	tab.must("Emulation.setEmulatedMedia", s.media())
	tab.scheme = s
}

// Screenshot writes a picture of the whole page, beyond the viewport too, as name.png into
// the directory for screenshots and returns its path.
func (tab *Tab) Screenshot(name string) string {
	tab.b.t.Helper()
	if strings.ContainsAny(name, `/\`) || name == "" {
		tab.b.t.Fatalf("screenshot %q: the name is to be that of a file, without .png", name)
	}
	var shot struct{ Data []byte }
	if err := tab.call("Page.captureScreenshot", args{"format": "png", "captureBeyondViewport": true}, &shot); err != nil {
		tab.b.t.Fatalf("screenshot %q: %v", name, err)
	}
	path := filepath.Join(tab.b.shots, name+".png")
	if err := os.MkdirAll(tab.b.shots, 0o755); err != nil {
		tab.b.t.Fatalf("screenshot %q: %v", name, err)
	}
	if err := os.WriteFile(path, shot.Data, 0o644); err != nil {
		tab.b.t.Fatalf("screenshot %q: %v", name, err)
	}
	return path
}
