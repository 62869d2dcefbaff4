package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/connect"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

const id = "01935f2a-0000-7000-8000-000000000001"

// wire answers requests without a network, so that time can be made up.
type wire func(r *http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func reply(r *http.Request, status int, contentType string, body io.Reader) *http.Response {
	return &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Request: r,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(body),
	}
}

func newClient(t testing.TB, w wire) *Client {
	t.Helper()
	s, err := connect.Options{Server: "http://localhost", Getenv: func(string) string { return "" }}.Open()
	if err != nil {
		t.Fatal(err)
	}
	s.HTTP.Transport = w
	return &Client{Server: s, Wait: wait}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// dead is a stream that brings nothing until its request ends.
type dead struct{ ctx context.Context }

func (d dead) Read([]byte) (int, error) {
	<-d.ctx.Done()
	return 0, d.ctx.Err()
}

// TestADeadStreamIsNoticed: a stream that brings nothing is left for a look at the operation.
func TestADeadStreamIsNoticed(t *testing.T) {
	for _, before := range []string{"", ": hello\n"} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			c := newClient(t, func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/events") {
					return reply(r, 200, "text/event-stream", io.MultiReader(strings.NewReader(before), dead{r.Context()})), nil
				}
				return reply(r, 200, "application/json", strings.NewReader(state(gopprof.CaptureStored))), nil
			})
			op, err := c.Follow(t.Context(), id, func(gopprof.Operation) {})
			if err != nil || !op.Ended() || time.Since(start) != silence {
				t.Errorf("after %v: %+v, %v", time.Since(start), op, err)
			}
		})
	}
}

// state is an operation as JSON.
func state(s gopprof.CaptureState) string {
	body, _ := json.Marshal(gopprof.Operation{ID: id, Captures: []gopprof.OperationCapture{{State: s}}})
	return string(body)
}

// TestOutagesAreForgotten: many short ones, over a long operation, are none to give up for.
func TestOutagesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/events") {
				return nil, io.ErrUnexpectedEOF
			}
			looks++
			switch {
			case looks == 40:
				return reply(r, 200, "application/json", strings.NewReader(state(gopprof.CaptureStored))), nil
			case looks%misses == 0:
				return reply(r, 200, "application/json", strings.NewReader(state(gopprof.CaptureWaiting))), nil
			}
			return nil, io.ErrUnexpectedEOF
		})
		if op, err := c.Follow(t.Context(), id, func(gopprof.Operation) {}); err != nil || !op.Ended() {
			t.Errorf("after %d looks: %v", looks, err)
		}
	})
}

// TestAServerThatTakesForEver: no request waits longer than there is patience.
func TestAServerThatTakesForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		_, err := c.Report(t.Context(), id)
		if SortOf(err) != Unreachable || time.Since(start) != patience {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// TestFollowGivesUp: an operation that cannot be had is tried for about a minute.
func TestFollowGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := newClient(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
		_, err := c.Follow(t.Context(), id, func(gopprof.Operation) {})
		if took := time.Since(start); SortOf(err) != Unreachable || took < 30*time.Second || took > 2*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestAnInterruptIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newClient(t, func(r *http.Request) (*http.Response, error) {
		cancel()
		return nil, r.Context().Err()
	})
	if _, err := c.Capture(ctx, "k", api.CaptureRequest{}); !errors.Is(err, context.Canceled) || SortOf(err) != "" {
		t.Errorf("%v", err)
	}
}

func TestAnswersAboutSomethingElse(t *testing.T) {
	c := newClient(t, func(r *http.Request) (*http.Response, error) {
		return reply(r, 200, "application/json", strings.NewReader(`{"id":"other"}`)), nil
	})
	if _, err := c.Report(t.Context(), id); SortOf(err) != Failed {
		t.Errorf("%v", err)
	}
	if _, err := c.Operation(t.Context(), id); SortOf(err) != Failed {
		t.Errorf("%v", err)
	}
}

// TestThroughTheAPIServer reads what answers in the server's place.
// What something in between answers, such as a page to log in, is no profile.
func TestAPageIsNoProfile(t *testing.T) {
	for contentType, want := range map[string]Sort{"application/octet-stream": "", "text/html; charset=utf-8": Unreachable, "": Unreachable} {
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			return reply(r, http.StatusOK, contentType, strings.NewReader("<html>")), nil
		})
		var got bytes.Buffer
		err := c.Download(t.Context(), api.PathProfile(id, gopprof.KindCPU), &got)
		if SortOf(err) != want || (got.Len() > 0) != (want == "") {
			t.Errorf("%q: %v, %q", contentType, err, &got)
		}
	}
}

func TestThroughTheAPIServer(t *testing.T) {
	status := func(code int, message string) string {
		data, _ := json.Marshal(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Message: message, Code: int32(code)})
		return string(data)
	}
	for name, c := range map[string]struct {
		code        int
		contentType string
		body        string
		sort        Sort
		again       bool
		want        string
	}{
		"not installed":         {404, "text/plain", "404 page not found\n", Unreachable, false, "its APIService is not installed"},
		"not installed, status": {404, "application/json", status(404, "the server could not find the requested resource"), Unreachable, false, "its APIService is not installed"},
		"ours":                  {404, api.ContentTypeProblem, `{"title":"Not Found","status":404,"detail":"no report x","reason":"unknown"}`, Missing, false, "no report x (404)"},
		"forbidden":             {403, "application/json", status(403, `gateway.gopprof.io "v1" is forbidden: User "ann" cannot get`), Refused, false, `User "ann" cannot get (403); whoever administers`},
		"not known":             {401, "application/json", status(401, "Unauthorized"), Refused, false, "Unauthorized"},
		"down":                  {503, "application/json", status(503, "error trying to reach service: dial tcp"), Unreachable, true, "kubectl get apiservice v1.gopprof.io"},
		"down, plain":           {503, "text/plain", "service unavailable", Unreachable, true, "503 Service Unavailable"},
		"too many":              {429, "application/json", status(429, "too many requests"), Limited, false, "too many requests"},
		"a proxy on the way":    {502, "text/html", "<html>", Unreachable, true, "502 Bad Gateway"},
	} {
		c2 := newClient(t, nil)
		c2.Server.Gateway = true
		err := c2.refused(reply(&http.Request{}, c.code, c.contentType, nil), []byte(c.body))
		f, ok := errors.AsType[*Failure](err)
		if !ok || f.Sort != c.sort || f.Again != c.again || !strings.Contains(f.Text, c.want) {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

func TestEvents(t *testing.T) {
	for stream, want := range map[string][]string{
		"event: state\ndata: a\n\n":                               {"state=a"},
		"event:state\r\ndata:a\r\n\r\n":                           {"state=a"},
		"data: a\ndata: b\n\n":                                    {"=a\nb"},
		": comment\n\nid: 7\nretry: 9\nevent: x\n\ndata: y\n\n":   {"=y"},
		"event: state\ndata: cut off":                             nil,
		"data\n\n":                                                {"="},
		"event: a\ndata: 1\n\nevent: b\ndata: 2\n\n\n\ndata: 3\n": {"a=1", "b=2"},
	} {
		var got []string
		err := events(strings.NewReader(stream), maxEventBytes, func() {}, func(name string, data []byte) error {
			got = append(got, name+"="+string(data))
			return nil
		})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, %v", stream, got, err)
		}
	}
}

// FuzzEvents: whatever a stream brings, no event is larger than allowed, nor than the stream.
func FuzzEvents(f *testing.F) {
	const most = 100
	f.Add([]byte("event: state\ndata: {\"id\":\"x\"}\n\n"))
	f.Add([]byte(":\n\ndata"))
	f.Add([]byte(strings.Repeat("data: without end\n", most) + "\n"))
	f.Add([]byte("data: " + strings.Repeat("x", most) + "\n\n"))
	for _, name := range hostile.Names() {
		f.Add([]byte("event: state\ndata: " + name + "\n\n"))
		f.Add([]byte("event: " + name + "\n" + name + "\ndata: x\n\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		_ = events(strings.NewReader(string(data)), most, func() {}, func(name string, d []byte) error {
			if len(d) > most || len(name) > most {
				t.Errorf("an event of %d bytes, named by %d", len(d), len(name))
			}
			n += len(d)
			return nil
		})
		if n > len(data) {
			t.Errorf("%d bytes of %d", n, len(data))
		}
	})
}

// FuzzRefused: whatever answers in the server's place, it is said whose fault it is and
// whether to try again, by the status, in no more words than came.
func FuzzRefused(f *testing.F) {
	for _, status := range []int{300, 307, 400, 401, 403, 404, 418, 422, 429, 500, 501, 502, 503, 504, 599, 999} {
		f.Add(status, api.ContentTypeProblem, `{"title":"Not Found","status":404,"detail":"no report x","reason":"unknown"}`, "")
		f.Add(status, "application/json", `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","code":404}`, "/elsewhere")
		f.Add(status, "text/html; charset=", "<html>", "javascript:alert(1)")
	}
	for _, body := range []string{"", "null", "[]", `{"title":"x"}`, `{"errors":[{},{"location":"body.pod","message":"wrong"}]}`, `{"status":"x"}`, `{"kind":"Status","message":""}`, `{"detail":"` + strings.Repeat("\xff", 1000) + `"}`} {
		f.Add(404, api.ContentTypeProblem, body, "")
		f.Add(404, "application/json", body, "")
	}
	for _, name := range hostile.Names() {
		quoted, err := json.Marshal(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(409, api.ContentTypeProblem, `{"detail":`+string(quoted)+`,"reason":`+string(quoted)+`,"errors":[{"location":`+string(quoted)+`}]}`, "")
		f.Add(503, "application/json", `{"kind":"Status","message":`+string(quoted)+`}`, "")
		f.Add(302, name, name, name)
	}
	direct, gateway := newClient(f, nil), newClient(f, nil)
	gateway.Server.Gateway = true
	asked, err := http.NewRequest(http.MethodGet, "https://user:T0S3CR3T@gopprof.example/api/v1/reports", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, body, location string) {
		if status < 300 || status > 999 { // others do not come here
			return
		}
		resp := reply(asked, status, contentType, nil)
		resp.Header.Set("Location", location)
		for _, c := range []*Client{direct, gateway} {
			got, ok := errors.AsType[*Failure](c.refused(resp, []byte(body)))
			if !ok {
				t.Fatal("no failure")
			}
			checkFailure(t, got, status)
			if most := 1000 + len(contentType)*10 + 4*len(body) + len(location); len(got.Text) > most {
				t.Errorf("%d bytes of text", len(got.Text))
			}
			if got.Reason != "" && !is(resp, api.ContentTypeProblem) {
				t.Errorf("reason %q of %q", got.Reason, contentType)
			}
		}
	})
}

func checkFailure(t *testing.T, f *Failure, status int) {
	t.Helper()
	if f.Text == "" || strings.Contains(f.Text, "T0S3CR3T") {
		t.Errorf("text %q", f.Text)
	}
	if f.Sort != sortOf(status) && f.Sort != Unreachable {
		t.Errorf("%d is %q", status, f.Sort)
	}
	if f.Again && status < 500 {
		t.Errorf("again after %d", status)
	}
	if p, ok := errors.AsType[api.Problem](f); ok && p.Status != status {
		t.Errorf("a problem of %d, answered with %d", p.Status, status)
	}
}
