package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/gopprof/gopprof/test/child"
)

// program is the command of Debian's package chromium.
const program = "chromium"

// process is a running Chromium and the pipe to it.
type process struct {
	in, out *os.File // commands to it, answers from it
	pid     int      // of it, and of the group of all its children
	log     string   // file of what it prints
	sockets string   // directory of its own, removed by stop
	ended   chan struct{}
}

// flags are Chromium's command line: no window, no host but loopback, nothing of its own
// accord.
func flags(profile, netLog string) []string {
	flags := []string{
		"--headless", "--remote-debugging-pipe", "--no-startup-window", "--user-data-dir=" + profile,
		// No name resolves and no address is connected to, but loopback's. Nor by UDP.
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
		// What would go further goes to a proxy that is not there; loopback is never proxied.
		"--proxy-server=http://127.0.0.1:9",
		"--webrtc-ip-handling-policy=disable_non_proxied_udp", "--disable-quic",
		// What it would ask others for by itself, and what disturbs.
		"--disable-background-networking", "--disable-component-update", "--disable-domain-reliability", "--disable-sync",
		"--disable-default-apps", "--disable-extensions", "--disable-client-side-phishing-detection", "--disable-breakpad",
		"--disable-crash-reporter", "--metrics-recording-only", "--no-pings", "--no-first-run", "--no-default-browser-check",
		"--disable-search-engine-choice-screen", "--safebrowsing-disable-auto-update",
		"--disable-features=AutofillServerCommunication,CertificateTransparencyComponentUpdater,DialMediaRouteProvider,InterestFeedContentSuggestions,MediaRouter,NetworkTimeServiceQuerying,OptimizationHints,Translate",
		// The same everywhere, and at full speed in a window that nobody looks at.
		"--password-store=basic", "--use-mock-keychain", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--hide-scrollbars",
		"--force-color-profile=srgb", "--lang=en-US", "--disable-popup-blocking", "--disable-renderer-backgrounding",
		"--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-ipc-flooding-protection",
		"--log-net-log=" + netLog, "--net-log-capture-mode=Default",
	}
	if os.Geteuid() == 0 {
		flags = append(flags, "--no-sandbox") // it has none for root
	}
	return flags
}

// startProcess starts Chromium with its files in dir. It ends with stop, or with this
// process.
func startProcess(dir, netLog string) (*process, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%w: run `make tools`, or `sudo apt-get install chromium`", err)
	}
	p := &process{log: filepath.Join(dir, "chromium.log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// The path of a socket is at most 108 bytes; that of a test's directory can be longer.
	if p.sockets, err = os.MkdirTemp("", "browser"); err != nil {
		return nil, err
	}
	theirs, err := p.pipes()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.sockets))
	}
	cmd := exec.Command(path, flags(filepath.Join(dir, "profile"), netLog)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = theirs
	// No session bus, no display.
	cmd.Env = []string{"HOME=" + dir, "TMPDIR=" + p.sockets, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TZ=UTC"}
	err = child.Start(cmd, func(error) { close(p.ended) }) // how it ended is told by what it did not answer
	theirs[0].Close()
	theirs[1].Close()
	if err != nil {
		return nil, errors.Join(err, p.in.Close(), p.out.Close(), os.RemoveAll(p.sockets))
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// pipes opens both ways and returns the child's ends, which are to be its descriptors 3 and
// 4, as --remote-debugging-pipe wants them.
func (p *process) pipes() ([]*os.File, error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirIn.Close(), in.Close())
	}
	p.in, p.out = in, out
	return []*os.File{theirIn, theirOut}, nil
}

// stop waits until the browser has ended by itself, or ctx has; then it kills what is left
// of it and its children.
func (p *process) stop(ctx context.Context) error {
	select {
	case <-p.ended:
	case <-ctx.Done():
	}
	err := syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.ended
	if errors.Is(err, syscall.ESRCH) {
		err = nil // all had ended
	}
	return errors.Join(err, p.in.Close(), p.out.Close(), os.RemoveAll(p.sockets))
}

// said returns the end of what the browser printed.
func (p *process) said() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-4<<10):])
}
