package notifytest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// failures: whatever happens before an answer may pass, and is tried again.
func failures(t *testing.T, start start) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		reason string
	}{
		"hangs up":                   {func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, "unreachable"},
		"hangs up within the header": {func(w http.ResponseWriter, _ *http.Request) { raw(w, "HTTP/1.1 200 OK\r\nContent-Le") }, "unreachable"},
		"speaks nonsense":            {func(w http.ResponseWriter, _ *http.Request) { raw(w, "220 smtp.example ESMTP\r\n\r\n") }, "unreachable"},
		"speaks much nonsense":       {func(w http.ResponseWriter, _ *http.Request) { raw(w, strings.Repeat("\x1b[31m", 10_000)+"\r\n\r\n") }, "unreachable"},
		"never answers":              {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "timeout"},
		"hangs within the header":    {hang("HTTP/1.1 200 OK\r\nContent-Le"), "timeout"},
		"is always about to answer":  {hang("HTTP/1.1 103 Early Hints\r\n\r\n"), "timeout"},
		"resets":                     {func(w http.ResponseWriter, _ *http.Request) { reset(w, "") }, "unreachable"},
		"resets within the header":   {func(w http.ResponseWriter, _ *http.Request) { reset(w, "HTTP/1.1 200 OK\r\nContent-Le") }, "unreachable"},
	} {
		s := start()
		s.Config.Timeout = time.Minute // a slow machine is not the fault
		if c.reason == "timeout" {
			s.Config.Timeout = 100 * time.Millisecond
		}
		s.Restart()
		s.Answer(c.answer)
		r := Report()
		if err := s.Handle(t.Context(), r); retryError(err) == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v", name, err)
		} else if n := len(err.Error()); n > 1000 {
			t.Errorf("%s: the error has %d bytes", name, n)
		}
		s.Answer(Status(204))
		s.Config.Timeout = time.Minute
		s.Restart()
		s.Wait(time.Hour)
		if err := s.Handle(t.Context(), r); err != nil {
			t.Errorf("%s, then it works: %v", name, err)
		}
	}
	s := start()
	s.Server.Close()
	if err := s.Handle(t.Context(), Report()); retryError(err) == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("nobody listens: %v", err)
	}
}

func raw(w http.ResponseWriter, text string) { _ = said(w, text).Close() }

// said is a connection on which a text was sent instead of an answer.
func said(w http.ResponseWriter, text string) net.Conn {
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = buffer.WriteString(text)
	_ = buffer.Flush()
	return conn
}

// hang says something and then nothing, until the other end goes away.
func hang(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn := said(w, text)
		defer conn.Close()
		_, _ = io.Copy(io.Discard, conn)
	}
}

// reset says something and ends the connection as a dying machine does.
func reset(w http.ResponseWriter, text string) {
	conn := said(w, text)
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// answered: a status is an answer, whatever becomes of its body; 101 is none that was asked
// for.
func answered(t *testing.T, start start) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		told   bool
	}{
		"the body hangs": {hang("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"), true},
		"the body is reset": {func(w http.ResponseWriter, _ *http.Request) {
			reset(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
		}, true},
		"the body never ends":    {endless, true},
		"early hints, then 200":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(200) }, true},
		"switching protocols":    {func(w http.ResponseWriter, _ *http.Request) { raw(w, "HTTP/1.1 101 Switching Protocols\r\n\r\n") }, false},
		"a status out of bounds": {func(w http.ResponseWriter, _ *http.Request) { raw(w, "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n") }, false},
	} {
		s := start()
		s.Config.Timeout = time.Minute
		if name == "the body hangs" {
			s.Config.Timeout = 3 * time.Second // for the status to come on a busy machine
		}
		s.Restart()
		s.Answer(c.answer)
		r := Report()
		if err := s.Handle(t.Context(), r); (err == nil && s.Count("told_total") == 1) != c.told {
			t.Errorf("%s: %v, told %v times", name, err, s.Count("told_total"))
		}
	}
}

// endless answers 200 and more than anybody would read.
func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(make([]byte, 64<<10)); err != nil {
			return
		}
	}
}

// clock: an hour forwards or backwards neither loses a report nor holds it for an hour.
func clock(t *testing.T, start start) {
	for _, set := range []time.Duration{time.Hour, -time.Hour, -24 * time.Hour} {
		s := start()
		failed, crashed := Report(), Report()
		s.Answer(Status(503))
		if err := s.Handle(t.Context(), failed); retryError(err) == nil {
			t.Fatal(err)
		}
		s.Answer(func(http.ResponseWriter, *http.Request) { s.KV.Break(errors.New("away")) })
		if err := s.Handle(t.Context(), crashed); err == nil {
			t.Fatal("its end was not recorded, and that is called told")
		}
		s.KV.Break(nil)
		s.Answer(Status(200))
		s.Restart()
		s.Wait(set)
		var err error
		for waited := time.Duration(0); waited <= time.Minute; waited += 5 * time.Second {
			if err = errors.Join(s.Handle(t.Context(), failed), s.Handle(t.Context(), crashed)); err == nil {
				break
			}
			s.Wait(5 * time.Second)
		}
		if n := len(s.Posts()); err != nil || n != 4 {
			t.Errorf("set by %v: %d posts within a minute, %v", set, n, err)
		}
	}
}
