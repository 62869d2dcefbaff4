package serve

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/gopprof/gopprof/test/poll"
)

// Whoever opens connections without end has a bounded number of them; who waits has the place
// of who leaves.
func TestConnectionsWithoutEnd(t *testing.T) {
	d := &door{listen: "127.0.0.1:0"}
	if err := d.take(); err != nil {
		t.Fatal(err)
	}
	taken, came := make(chan net.Conn, 2*callersMost), atomic.Int64{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for l := d.secured(); ; came.Add(1) {
			c, err := l.Accept()
			if err != nil {
				return
			}
			taken <- c
		}
	}()
	const more = 20
	var conns []net.Conn
	for range callersMost + more {
		c, err := net.Dial("tcp", d.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for left := range more + 1 {
		poll.Until(t, "as many as there may be are taken", func() bool { return came.Load() >= int64(callersMost+left) })
		if held := came.Load() - int64(left); held > callersMost {
			t.Fatalf("%d connections are held, want %d at most", held, callersMost)
		}
		if left < more {
			_ = (<-taken).Close()
		}
	}
	_ = d.Close()
	<-ended
	for _, c := range conns {
		_ = c.Close()
	}
	for range len(taken) {
		_ = (<-taken).Close()
	}
}
