package views

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// job is the opening of the view, once, and then its pages.
type job struct {
	Open *opening `json:"open,omitempty"`

	Page  string `json:"page,omitempty"`
	Query string `json:"query,omitempty"`
	Bytes int64  `json:"bytes,omitempty"` // the largest page
}

// opening says what the job's body is: a profile, and what follows it is the base.
type opening struct {
	Kind        gopprof.Kind `json:"kind"`
	ProfileSize int64        `json:"profileSize"`
	Difference  bool         `json:"difference"`
	// ResidentBytes is the most memory that the process may have of its own.
	ResidentBytes int64 `json:"residentBytes"`
}

// mostBytes is what an opening may bring: two files.
func mostBytes() int64 { return 2 * profile.DefaultLimits().CompressedBytes }

// Worker serves one view until in ends. It is what the program whose command line New was
// given runs. It listens nowhere: pages are asked for on in and leave on out.
func Worker(in io.Reader, out io.Writer) error {
	s := &session{}
	go s.watch.run()
	return draw.Work(in, out, mostBytes(), s.do)
}

// What a process says that ends because of its memory: of what it has of its own, and of what
// it has mapped.
const (
	outOfMemory = "out of memory"
	outOfData   = outOfMemory + ": of data"
)

// nearLimit is how near (bytes) a process comes to the limit of its data.
const nearLimit = 16 << 20

// watcher ends the process when it has used its CPU time or all of its memory, and says so.
// Of CPU time and data the kernel would do so a little later, and Go's runtime, where it gets
// no more memory, falls in many ways; what a process has of its own nobody else limits.
type watcher struct {
	resident atomic.Int64 // the most bytes; 0: not told yet
}

func (w *watcher) run() {
	overrun := make(chan os.Signal, 1)
	signal.Notify(overrun, unix.SIGXCPU)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &limit); err != nil {
		limit.Cur = unix.RLIM_INFINITY
	}
	for look := time.NewTimer(0); ; {
		select {
		case <-overrun:
			end("out of its CPU time")
		case <-look.C:
		}
		own, data := memory()
		most := w.resident.Load()
		switch {
		case most > 0 && own > most:
			end(outOfMemory)
		case uint64(data)+nearLimit > limit.Cur:
			end(outOfData)
		case own > most/2:
			look.Reset(2 * time.Millisecond) // the rest may be gone soon
		default:
			look.Reset(20 * time.Millisecond)
		}
	}
}

// memory is what this process has resident of its own, and what it has of what RLIMIT_DATA
// limits, in bytes, as proc(5) tells; 0 where it does not.
func memory() (own, data int64) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 6 {
		return 0, 0
	}
	pages := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64) // 0 is allowed
		return n * int64(os.Getpagesize())
	}
	return pages(1) - pages(2), pages(5)
}

func end(words string) {
	fmt.Fprintln(os.Stderr, words)
	os.Exit(3)
}

// session is the state of a view's process.
type session struct {
	watch    watcher
	handlers map[string]http.Handler // nil: not opened
}

func (s *session) do(j job, body []byte) ([]byte, error) {
	if j.Open != nil {
		return nil, s.open(*j.Open, body)
	}
	return s.page(j)
}

func (s *session) open(o opening, body []byte) (err error) {
	if o.ProfileSize < 0 || o.ProfileSize > int64(len(body)) {
		return errors.New("the opening is not one of ours")
	}
	s.watch.resident.Store(o.ResidentBytes)
	var base *profile.Profile
	p, err := condensed("", o.Kind, body[:o.ProfileSize])
	if err != nil {
		return err
	}
	samples := len(p.Raw().Sample)
	if o.Difference {
		if base, err = condensed("the other report's: ", o.Kind, body[o.ProfileSize:]); err != nil {
			return err
		}
		samples += len(base.Raw().Sample)
	}
	if samples == 0 {
		return &gopprof.Error{Reason: gopprof.ReasonInvalidProfile, Detail: fmt.Sprintf("the %s profile is empty: there is nothing to look at", o.Kind)}
	}
	s.handlers, err = draw.Pages(p, base)
	return err
}

// What a view shows at most, of each of two profiles. A heap profile of a program that
// type-checks net/http has 150,000 frames, of 700 functions.
const (
	mostFrames    = 400_000 // of all stacks
	mostFunctions = 15_000
)

// condensed returns a file's profile cleaned, and each stack once: a heap profile has one
// for each size of the things allocated there. Of more than a view can show it has the
// heaviest stacks, and one that says how many others there are. whose begins the words of an
// error.
func condensed(whose string, kind gopprof.Kind, file []byte) (*profile.Profile, error) {
	p, err := draw.Cleaned(kind, file)
	if err != nil {
		return nil, &gopprof.Error{Reason: profile.ReasonOf(err), Detail: whose + err.Error(), Err: err}
	}
	return p.Condense(0).Heaviest(mostFrames, mostFunctions), nil
}

// page makes one page.
func (s *session) page(j job) (html []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("pprof's driver panicked: %.200v", p)
		}
	}()
	h := s.handlers["/"+j.Page]
	if h == nil || !slices.Contains(pages, j.Page) {
		return nil, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no such page"}
	}
	a := &answer{left: j.Bytes, header: http.Header{}}
	h.ServeHTTP(a, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/" + j.Page, RawQuery: j.Query}, Header: http.Header{}})
	return a.result()
}

// answer keeps what a handler writes, up to a limit.
type answer struct {
	left   int64 // negative: it was passed
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.left -= int64(len(p)); a.left < 0 {
		return 0, io.ErrShortWrite
	}
	return a.body.Write(p)
}

// result is the page, or why there is none.
func (a *answer) result() ([]byte, error) {
	words := func() string { return profile.Printable(string(bytes.TrimSpace(a.body.Bytes())), 300) }
	switch {
	case a.left < 0:
		return nil, &gopprof.Error{Reason: gopprof.ReasonTooLarge, Detail: "the page is larger than allowed: leave out a part of the profile with Focus or Hide"}
	case a.status == http.StatusOK:
		return a.body.Bytes(), nil
	case a.status == http.StatusBadRequest:
		return nil, &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: words()}
	}
	return nil, fmt.Errorf("pprof answered with status %d: %s", a.status, words())
}
