package natstest

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Way is a way to a server, over TCP, on which either direction can be held up.
type Way struct {
	URL                string
	Questions, Answers sync.RWMutex // held for writing: nothing goes through
}

// StartWay opens a way to the server of a URL. It takes no more connections after the test.
func StartWay(t testing.TB, to string) *Way {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &Way{URL: "nats://" + l.Addr().String()}
	go forward(l, func() string { return u.Host }, w)
	return w
}

// forward takes connections, until the listener is closed, on to somebody else.
func forward(l net.Listener, to func() string, w *Way) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", to())
		if err != nil {
			client.Close()
			continue
		}
		go carry(server, client, &w.Questions)
		go carry(client, server, &w.Answers)
	}
}

func carry(to, from net.Conn, hold *sync.RWMutex) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		hold.RLock()
		_, failed := to.Write(buffer[:n])
		hold.RUnlock()
		if err != nil || failed != nil {
			return
		}
	}
}
