package ops

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
)

// drainTime is how long running requests may go on once the server is told to stop.
const drainTime = 5 * time.Second

// ServerConfig says where the status port listens.
type ServerConfig struct {
	// Listen is host:port of the status port (/livez, /readyz, /metrics). The host must be
	// a loopback address, because nobody is asked who they are; port 0 takes a free one.
	Listen string `yaml:"listen"`
	// MetricsListen is host:port of one more port, which answers /metrics and nothing else to
	// whoever reaches it: for a Prometheus that scrapes pods. Metrics name no pods and no
	// people. Default empty: none; /metrics is on the status port in any case.
	MetricsListen string `yaml:"metrics_listen"`
	// Authenticated is set by a program whose handler asks who the caller is: it may then
	// listen anywhere.
	Authenticated bool `yaml:"-"`
}

// Check reports an address that cannot be listened on, or that strangers could reach.
func (c ServerConfig) Check(report func(key, problem string)) {
	if problem := CheckListen(c.Listen, c.Authenticated); problem != "" {
		report("listen", problem)
	}
	if c.MetricsListen == "" {
		return
	}
	if problem := CheckListen(c.MetricsListen, true); problem != "" {
		report("metrics_listen", problem)
	}
}

// CheckListen tells what is wrong with a host:port to listen on, or returns "". Without
// authentication the host must be a loopback address or localhost.
func CheckListen(listen string, authenticated bool) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Sprintf("%q is not host:port", listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Sprintf("port %q is not a number from 0 to 65535", port)
	}
	if authenticated || isLoopback(host) {
		return ""
	}
	return fmt.Sprintf("%q is beyond loopback, where nobody is asked who they are: use 127.0.0.1:%s", listen, port)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Server is an HTTP server with time-outs. It listens from the moment that NewServer
// returns and answers once Run is called.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// NewServer listens on host:port.
func NewServer(listen string, h http.Handler) (*Server, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", listen, err)
	}
	return &Server{listener: l, http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}}, nil
}

// strangersMost is how many connections of strangers are held at once.
const strangersMost = 64

// NewMetricsServer listens on host:port, where strangers may come, and answers /metrics alone.
// Beyond some connections at once it takes no more until others end: whoever opens thousands
// would have the program's memory and files.
func NewMetricsServer(listen string, reg prometheus.Gatherer) (*Server, error) {
	s, err := NewServer(listen, MetricsHandler(reg))
	if err != nil {
		return nil, err
	}
	s.listener = netutil.LimitListener(s.listener, strangersMost)
	return s, nil
}

// Addr is the host:port that the server listens on, with the port that was given for 0.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close stops listening at once, for a server that is not going to be run.
func (s *Server) Close() error {
	return errors.Join(s.http.Close(), s.listener.Close())
}

// Run answers until ctx ends, then lets running requests finish for a few seconds.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving %q: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := s.http.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("stopping server %q: %w", s.Addr(), err), s.http.Close())
	}
	return nil
}

// Serve is NewServer and Run.
func Serve(ctx context.Context, listen string, h http.Handler) error {
	s, err := NewServer(listen, h)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}
