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
)

// drainTime is how long running requests may go on once the server is told to stop.
const drainTime = 5 * time.Second

// listener is where the server listens, and with which certificate.
type listener struct {
	net.Listener

	mu          sync.Mutex // guards what follows
	certificate *tls.Certificate
	seen        [2]time.Time // when the files of the certificate were written
}

// Listen takes the port, so that its address is known before anything is answered.
func (s *Server) Listen() (addr string, err error) {
	l, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return "", fmt.Errorf("listening on %q: %w", s.cfg.Listen, err)
	}
	s.listener.Listener = l
	return l.Addr().String(), nil
}

// Run answers until ctx ends, then lets running requests finish for a few seconds. It
// listens by itself if Listen was not called.
func (s *Server) Run(ctx context.Context) error {
	if s.listener.Listener == nil {
		if _, err := s.Listen(); err != nil {
			return err
		}
	}
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      s.cfg.RequestTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          zap.NewStdLog(s.log),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(s.secured()) }()
	s.log.Info("server started", zap.String("address", s.listener.Addr().String()))
	select {
	case err := <-failed:
		return fmt.Errorf("serving %q: %w", s.cfg.Listen, err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("stopping server %q: %w", s.cfg.Listen, err), server.Close())
	}
	return nil
}

// secured returns the listener, within TLS if there is a certificate.
func (s *Server) secured() net.Listener {
	if s.cfg.TLSCertFile == "" {
		return s.listener.Listener
	}
	return tls.NewListener(s.listener.Listener, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.currentCertificate() },
	})
}

func (s *Server) loadCertificate() error {
	if s.cfg.TLSCertFile == "" {
		return nil
	}
	_, err := s.currentCertificate()
	return err
}

// currentCertificate reads the certificate again when its files changed. While they make
// no sense (they are replaced one after the other) the old one stays.
func (s *Server) currentCertificate() (*tls.Certificate, error) {
	l := &s.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	written := [2]time.Time{writtenAt(s.cfg.TLSCertFile), writtenAt(s.cfg.TLSKeyFile)}
	if l.certificate != nil && written == l.seen {
		return l.certificate, nil
	}
	c, err := tls.LoadX509KeyPair(s.cfg.TLSCertFile, s.cfg.TLSKeyFile)
	if err == nil {
		l.certificate, l.seen = &c, written
	} else if l.certificate == nil {
		return nil, fmt.Errorf("reading the server's certificate: %w", err)
	}
	return l.certificate, nil
}

func writtenAt(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
