// Command burner is a Go service that misbehaves on request, for tests and the demo: it
// burns CPU, grows, and contends for locks, in functions with names as a service has them.
//
//	POST /heat?cores=0.9   burn that many cores          POST /cool     back to the base load
//	POST /grow?mb=100      keep so much more memory      POST /shrink   give it all back
//	POST /contend?clerks=8 wait for locks (0 stops)      GET  /state    what it does now, JSON
//	GET  /metrics          http_requests_total: how many visitors were answered
//	POST /load?rate=300    serve that many ordinary visitors of a shop per second; cores=0.1: as many as use that
//	POST /fault?name=…&level=…&over=… plant one fault of faults.go, so much of it; none ends it
//	POST /answer?pprof=how the pages of pprof from now on: well, error (status 500), never
//
// and net/http/pprof under /debug/pprof/. It listens on loopback only, unless it is told
// that it has a network of its own, as in a pod. Its address is printed as its first line,
// "listening on HOST:PORT".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/gopprof/gopprof/test/burner/front"
)

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "host:port on loopback; port 0 takes a free one")
	flag.BoolVar(&o.anywhere, "anywhere", false, "allow any address to listen on: in a pod, where only a test's cluster reaches it")
	flag.StringVar(&o.addrFile, "addr-file", "", "file that gets the address once it listens")
	flag.Float64Var(&o.baseCores, "base-cores", 0.02, "cores used while nothing was asked for")
	flag.Float64Var(&o.load.Rate, "rate", 0, "ordinary visitors of the shop per second, from the start on")
	flag.Float64Var(&o.load.Cores, "load-cores", 0, "cores used with ordinary visitors of the shop, in place of a rate")
	flag.IntVar(&o.mutexFraction, "mutex-fraction", 0, "runtime.SetMutexProfileFraction; 0 is not enabled")
	flag.IntVar(&o.blockRate, "block-rate", 0, "runtime.SetBlockProfileRate in ns; 0 is not enabled")
	flag.IntVar(&o.gcPercent, "gc-percent", 100, "debug.SetGCPercent: how much garbage it keeps for each 100 bytes in use; little, when its limit is tight")
	untilStdin := flag.Bool("until-stdin-closes", false, "end when the standard input does, so as not to outlive who started it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if *untilStdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "burner:", err)
		os.Exit(1)
	}
}

type options struct {
	listen, addrFile         string
	anywhere                 bool
	baseCores                float64
	load                     front.Load
	mutexFraction, blockRate int
	gcPercent                int
}

func run(ctx context.Context, o options) error {
	runtime.SetMutexProfileFraction(o.mutexFraction)
	runtime.SetBlockProfileRate(o.blockRate)
	debug.SetGCPercent(o.gcPercent)
	l, err := listen(o.listen, o.anywhere)
	if err != nil {
		return err
	}
	fmt.Println("listening on", l.Addr())
	if o.addrFile != "" {
		if err := writeWhole(o.addrFile, l.Addr().String()); err != nil {
			return err
		}
	}
	shop := newShop(o.baseCores)
	defer shop.close()
	if o.load != (front.Load{}) {
		if err := shop.serve(o.load); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	// No WriteTimeout: a CPU profile takes as long as it was asked for.
	server := &http.Server{Handler: shop.handler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// listen refuses what is not loopback, unless told otherwise: whoever reaches the burner may use this machine up.
func listen(address string, anywhere bool) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !anywhere && !a.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("listening on %q: not a loopback address", address), l.Close())
	}
	return l, nil
}

// writeWhole writes a file that is never seen half written.
func writeWhole(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
