package serve

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// Strangers whose connections come to no request do not fill the log; how many there were is
// said, and whatever else there is to say.
func TestHandshakesThatFail(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	synctest.Test(t, func(t *testing.T) {
		strangers := make(line)
		server := &http.Server{ErrorLog: zap.NewStdLog(doorLog(zap.New(core)))}
		ended := make(chan error)
		go func() { ended <- server.Serve(tls.NewListener(strangers, &tls.Config{GetCertificate: noCertificate})) }()
		come := func(n int) {
			for range n {
				theirs, ours := net.Pipe()
				strangers <- ours
				_, _ = theirs.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
				_ = theirs.Close()
			}
			synctest.Wait()
		}
		come(100)
		time.Sleep(handshakeEvery)
		come(100)
		server.ErrorLog.Print("something else")
		server.ErrorLog.Print("something else")
		_ = server.Close()
		<-ended
	})
	got := logs.All()
	if len(got) != 4 || got[0].ContextMap()["unsaid"] != int64(0) || got[1].ContextMap()["unsaid"] != int64(99) || got[3].Message != "something else" {
		t.Errorf("%d lines: %+v", len(got), got)
	}
}

func noCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return nil, errors.New("none")
}

// line is a listener to whom connections are handed.
type line chan net.Conn

func (l line) Accept() (net.Conn, error) {
	c, ok := <-l
	if !ok {
		return nil, io.EOF
	}
	return c, nil
}

func (l line) Close() error   { close(l); return nil }
func (l line) Addr() net.Addr { return &net.TCPAddr{} }
