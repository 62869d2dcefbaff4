package email_test

import (
	"net"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What a server says without end is not kept: it is left, and asked again later.
func TestServerThatSaysTooMuch(t *testing.T) {
	const most = 256 << 20
	for name, said := range map[string]string{"a line": strings.Repeat("x", 1<<20), "lines": strings.Repeat("220-"+strings.Repeat("x", 96)+"\r\n", 10_000)} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		wrote := make(chan int, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			sum := 0
			for err == nil && sum < most {
				var n int
				n, err = conn.Write([]byte(said))
				sum += n
			}
			wrote <- sum
		}()
		out := send(t, scene(t, &server{addr: l.Addr().String()}, nil), one(notifytest.Report()))
		if !out.Retry || out.Reason != gopprof.ReasonUnreachable || !strings.Contains(out.Detail, "says more than") {
			t.Errorf("%s: %+v", name, out)
		}
		if n := <-wrote; n >= most/2 { // what the kernel holds is far less
			t.Errorf("%s: %d bytes were taken", name, n)
		}
		l.Close()
	}
}
