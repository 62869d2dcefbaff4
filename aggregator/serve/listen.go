package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/gopprof/gopprof/pkg/selfca"
)

// drainTime is how long running requests may go on once the server is told to stop.
const drainTime = 5 * time.Second

// listener is where the server listens.
type listener struct {
	front door  // for everybody
	back  *door // for the API server; nil: none
}

// door is one port, with its certificate.
type door struct {
	net.Listener
	listen            string
	certFile, keyFile string
	own               *selfca.CA         // makes the certificate where there is no file; nil: then it is plain HTTP
	clients           tls.ClientAuthType // whether clients are asked for a certificate, too
	handler           http.Handler

	mu          sync.Mutex // guards what follows
	certificate *tls.Certificate
	seen        [2]time.Time // when the files of the certificate were written
}

// Listen takes the ports, so that their addresses are known before anything is answered.
// addr is that of the API and the pages.
func (s *Server) Listen() (addr string, err error) {
	front, back := &s.listener.front, s.listener.back
	front.listen, front.handler = s.cfg.Listen, s
	if err := front.take(); err != nil {
		return "", err
	}
	if back != nil {
		if err := back.take(); err != nil {
			return "", errors.Join(err, front.Close())
		}
	}
	return front.Addr().String(), nil
}

// callersMost is how many connections a port holds at once. Strangers may come: whoever opens
// thousands would have the program's memory and files, and with them those of NATS and the store.
const callersMost = 1024

func (d *door) take() error {
	l, err := net.Listen("tcp", d.listen)
	if err != nil {
		return fmt.Errorf("listening on %q: %w", d.listen, err)
	}
	d.Listener = netutil.LimitListener(l, callersMost)
	return nil
}

// APIServiceAddr is where the aggregated API listens; empty when it does not.
func (s *Server) APIServiceAddr() string {
	if s.listener.back == nil || s.listener.back.Listener == nil {
		return ""
	}
	return s.listener.back.Addr().String()
}

// Run answers until ctx ends, then lets running requests finish for a few seconds. It
// listens by itself if Listen was not called.
func (s *Server) Run(ctx context.Context) error {
	if s.listener.front.Listener == nil {
		if _, err := s.Listen(); err != nil {
			return err
		}
	}
	all, ctx := errgroup.WithContext(ctx)
	if s.stopping != nil {
		all.Go(func() error {
			<-ctx.Done()
			close(s.stopping)
			return nil
		})
	}
	all.Go(func() error { return s.answer(ctx, &s.listener.front) })
	if back := s.listener.back; back != nil {
		all.Go(func() error { return s.answer(ctx, back) })
		if back.own != nil {
			all.Go(func() error { return back.own.Run(ctx) })
		}
	}
	return all.Wait()
}

// answer serves one door until ctx ends.
func (s *Server) answer(ctx context.Context, d *door) error {
	server := &http.Server{
		Handler:           d.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      s.cfg.RequestTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          zap.NewStdLog(doorLog(s.log)),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(d.secured()) }()
	s.log.Info("server started", zap.String("address", d.Addr().String()))
	select {
	case err := <-failed:
		return fmt.Errorf("serving %q: %w", d.listen, err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("stopping server %q: %w", d.listen, err), server.Close())
	}
	return nil
}

// shows returns where a door's certificate comes from; nil: it is plain HTTP.
func (d *door) shows() func() (*tls.Certificate, error) {
	switch {
	case d.certFile != "":
		return d.currentCertificate
	case d.own != nil:
		return func() (*tls.Certificate, error) { return d.own.GetCertificate(nil) }
	}
	return nil
}

// Certificates returns, of each port that speaks TLS, what its clients are shown at present:
// "api" for the API and the pages, "apiservice" for the API server.
func (s *Server) Certificates() map[string]func() (*tls.Certificate, error) {
	out := map[string]func() (*tls.Certificate, error){}
	if shows := s.listener.front.shows(); shows != nil {
		out["api"] = shows
	}
	if back := s.listener.back; back != nil {
		out["apiservice"] = back.shows()
	}
	return out
}

// secured returns the listener, within TLS if there is a certificate.
func (d *door) secured() net.Listener {
	shows := d.shows()
	if shows == nil {
		return d.Listener
	}
	return tls.NewListener(d.Listener, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, ClientAuth: d.clients,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return shows() },
	})
}

// loadCertificate reads the certificate of the API and the pages for the first time.
func (s *Server) loadCertificate() error {
	s.listener.front.certFile, s.listener.front.keyFile = s.cfg.TLSCertFile, s.cfg.TLSKeyFile
	return s.listener.front.load()
}

func (d *door) load() error {
	if d.certFile == "" {
		return nil
	}
	_, err := d.currentCertificate()
	return err
}

// currentCertificate reads the certificate again when its files changed. While they make
// no sense (they are replaced one after the other) the old one stays.
func (d *door) currentCertificate() (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	written := [2]time.Time{writtenAt(d.certFile), writtenAt(d.keyFile)}
	if d.certificate != nil && written == d.seen {
		return d.certificate, nil
	}
	c, err := tls.LoadX509KeyPair(d.certFile, d.keyFile)
	if err == nil {
		d.certificate, d.seen = &c, written
	} else if d.certificate == nil {
		return nil, fmt.Errorf("reading the server's certificate: %w", err)
	}
	return d.certificate, nil
}

func writtenAt(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
