package auth

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gopprof/gopprof/pkg/profile"
)

// The ways in, as the log names them.
const (
	wayDirect    = "direct"
	wayAPIServer = "apiserver"
)

// longestName bounds what a line of the log repeats of a request.
const longestName = 300

// line is what a request leaves in the log. The goroutine that answers the request fills
// it; nobody else touches it.
type line struct {
	way    string
	who    string
	groups int
	object object
}

// object is what a request is about, as far as its path tells.
type object struct {
	resource, namespace, name string
	quiet                     bool // what programs ask by themselves again and again
}

type lineKey struct{}

// About tells the log what a request turned out to be about where its path does not say it,
// such as the body of a capture's request. It does nothing where no request is logged.
func About(ctx context.Context, namespace, name string) {
	if e, ok := ctx.Value(lineKey{}).(*line); ok {
		e.object.namespace, e.object.name = namespace, name
	}
}

// lineOf returns the line of a request; where there is none, one that nobody reads.
func lineOf(ctx context.Context) *line {
	if e, ok := ctx.Value(lineKey{}).(*line); ok {
		return e
	}
	return &line{}
}

// audited writes one line for every request when it has ended: who, what, outcome. Nothing
// of a query, a header or a body is in it, where secrets might stand.
func audited(log *zap.Logger, way string, next http.Handler) http.Handler {
	if log == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &line{way: way, object: objectOf(r.URL.Path)}
		seen := &seenWriter{ResponseWriter: w}
		start, whole := time.Now(), false
		defer func() {
			e.write(log, r.Method, seen.outcome(whole), time.Since(start))
		}()
		next.ServeHTTP(seen, r.WithContext(context.WithValue(r.Context(), lineKey{}, e)))
		whole = true
	})
}

func (e *line) write(log *zap.Logger, method string, status int, took time.Duration) {
	level := zapcore.InfoLevel
	if e.object.quiet && status < http.StatusBadRequest {
		level = zapcore.DebugLevel
	}
	text := func(key, value string) zap.Field { return zap.String(key, profile.Printable(value, longestName)) }
	groups := zap.Skip() // known only of those whom the API server brings
	if e.way == wayAPIServer {
		groups = zap.Int("groups", e.groups)
	}
	log.Log(level, "request answered",
		zap.String("way", e.way), text("who", e.who), groups, text("verb", verbOf(method, e.object.name)),
		text("resource", e.object.resource), text("namespace", e.object.namespace), text("name", e.object.name),
		zap.Int("status", status), zap.Duration("took", took))
}

// verbOf says a method as Kubernetes does.
func verbOf(method, name string) string {
	switch {
	case (method == http.MethodGet || method == http.MethodHead) && name == "":
		return "list"
	case method == http.MethodGet || method == http.MethodHead:
		return "get"
	case method == http.MethodPost:
		return "create"
	case method == http.MethodPut:
		return "update"
	}
	return strings.ToLower(method)
}

// objectOf reads a path of the API, or of the aggregated API. Whatever else is asked for is
// its own name.
func objectOf(path string) object {
	const aggregated, own, gateway = "/apis/gopprof.io/v1/", "/api/v1/", "gateway/v1/proxy/"
	rest, ok := strings.CutPrefix(path, aggregated)
	if !ok {
		rest, ok = strings.CutPrefix(path, own)
	}
	if !ok || rest == "" {
		return object{resource: path, quiet: discovery(path)}
	}
	o, rest := object{}, strings.TrimSuffix(rest, "/")
	if below, in := strings.CutPrefix(rest, "namespaces/"); in {
		o.namespace, rest, _ = strings.Cut(below, "/")
	}
	if below, in := strings.CutPrefix(rest, gateway); in {
		return objectOf(own + below)
	}
	var sub string
	o.resource, rest, _ = strings.Cut(rest, "/")
	o.name, sub, _ = strings.Cut(rest, "/")
	if sub != "" {
		o.resource += "/" + sub
	}
	return o
}

// discovery are the paths that an API server asks for by itself, for as long as it runs.
func discovery(path string) bool {
	return path == "/apis" || strings.HasPrefix(path, "/apis/gopprof.io") || strings.HasPrefix(path, "/openapi/")
}

// seenWriter remembers the status of an answer.
type seenWriter struct {
	http.ResponseWriter
	status int // 0: nothing was written yet
}

func (w *seenWriter) WriteHeader(status int) {
	if w.status < http.StatusOK { // 1xx are not the answer
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *seenWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *seenWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// outcome is the status; a handler that panicked before it wrote one has failed.
func (w *seenWriter) outcome(whole bool) int {
	switch {
	case w.status != 0:
		return w.status
	case whole:
		return http.StatusOK
	}
	return http.StatusInternalServerError
}
