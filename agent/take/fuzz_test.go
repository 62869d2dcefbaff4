package take

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

// FuzzAnswer: whatever a target answers below HTTP, it is a profile within its bound or has
// a named reason, and nobody else is dialled.
func FuzzAnswer(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, s := range []string{
		"", "x", "SSH-2.0-OpenSSH_9.2\r\n", ok + "\r\nabc", ok + "Content-Length: 3\r\n\r\nabc", ok + "Content-Length: 9\r\n\r\nabc", ok + "Content-Length: -1\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", ok + "Transfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\x1b\r\n\r\n", "HTTP/1.1 307 \r\nLocation: //evil/\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n" + ok + "\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "HTTP/1.1 500 x\r\nX-Go-Pprof: 1\r\n\r\ncpu profiling already in use\x1b[31m", "HTTP/1.1 999 \x1b\r\n\r\n",
		"\x00\x00\x00\x04\x00\x00\x00\x00\x00", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nabcde", ok + "Content-Encoding: gzip\r\n\r\n\x1f\x8b",
	} {
		f.Add([]byte(s))
	}
	for _, data := range hostile.Files(1 << 10) {
		f.Add([]byte(ok + "\r\n" + string(data)))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		tr, err := transport(testConfig(), gopprof.Endpoint{Scheme: "http", Host: "192.0.2.1", Port: 6060}, nil)
		if err != nil {
			t.Fatal(err)
		}
		dialled := 0
		tr.DialContext = func(context.Context, string, string) (net.Conn, error) {
			dialled++
			return answering(answer), nil
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://192.0.2.1:6060/debug/pprof/heap", nil)
		if err != nil {
			t.Fatal(err)
		}
		const most = 1 << 10
		data, err := get(tr, req, most)
		err = classify(t.Context(), err)
		if len(data) > most || err != nil && (len(data) > 0 || gopprof.ReasonOf(err) == "") {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		if err != nil {
			if said := detailOf(err); said != clean(said) {
				t.Errorf("detail %q", said)
			}
		}
		if dialled != 1 {
			t.Errorf("dialled %d times", dialled)
		}
	})
}

// answering is a connection whose other side answers with some bytes and hangs up.
func answering(answer []byte) net.Conn {
	here, there := net.Pipe()
	go func() { // ends when the connection is closed
		buf := make([]byte, 4<<10)
		_, _ = there.Read(buf)
		_, _ = there.Write(answer)
		there.Close()
	}()
	return here
}
