package parts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gopprof/gopprof/test/child"
)

// S3 is a running S3 server, versitygw over a directory.
type S3 struct {
	Endpoint        string // "http://127.0.0.1:port"
	CredentialsFile string // of the server's only account, as AWS tools write it

	buckets string // directory that holds a directory for each bucket
	process *exec.Cmd
	stop    context.CancelFunc
	ended   chan struct{} // closed when the process has ended
	err     error         // how it ended; valid after ended
}

// The server's only account. It guards nothing: the server listens on loopback and holds
// what a test put there.
const (
	s3AccessKey = "gopprof-test"
	s3SecretKey = "gopprof-test-secret"
)

// StartS3 starts versitygw with its files in dir, which needs a file system with extended
// attributes, and returns when it answers. It ends with Stop, with ctx, or with the
// process that started it. Its log is dir/versitygw.log.
func StartS3(ctx context.Context, dir string) (*S3, error) {
	binary, err := Binary("versitygw")
	if err != nil {
		return nil, err
	}
	s := &S3{
		CredentialsFile: filepath.Join(dir, "credentials"),
		buckets:         filepath.Join(dir, "buckets"),
		ended:           make(chan struct{}),
	}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("preparing versitygw: %w", err)
	}
	log := filepath.Join(dir, "versitygw.log")
	if err := s.start(ctx, binary, log); err != nil {
		return nil, fmt.Errorf("starting versitygw: %w", err)
	}
	if err := s.ready(ctx); err != nil {
		_ = s.Stop()
		text, _ := os.ReadFile(log)
		return nil, fmt.Errorf("starting versitygw: %w; its log:\n%s", err, text)
	}
	return s, nil
}

// Bucket makes a bucket, if it is not there yet, and returns its URL for gocloud.dev/blob.
// Credentials are not part of it: they are in CredentialsFile.
func (s *S3) Bucket(name string) (string, error) {
	if err := os.MkdirAll(s.Files(name), 0o700); err != nil {
		return "", fmt.Errorf("making bucket %q: %w", name, err)
	}
	q := url.Values{"endpoint": {s.Endpoint}, "use_path_style": {"true"}, "region": {"us-east-1"}}
	return "s3://" + name + "?" + q.Encode(), nil
}

// Files is the directory of a bucket, in which each blob is a file of its key.
func (s *S3) Files(bucket string) string { return filepath.Join(s.buckets, bucket) }

// Stop ends the server and returns when it has ended. Again, it does nothing.
func (s *S3) Stop() error {
	s.stop()
	<-s.ended
	return s.err
}

func (s *S3) prepare() error {
	if err := os.MkdirAll(s.buckets, 0o700); err != nil {
		return err
	}
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s3AccessKey, s3SecretKey)
	return os.WriteFile(s.CredentialsFile, []byte(text), 0o600)
}

// start starts the process, which closes its log when it ends.
func (s *S3) start(ctx context.Context, binary, logPath string) error {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	ctx, s.stop = context.WithCancel(ctx)
	s.process = exec.CommandContext(ctx, binary, "--port", "127.0.0.1:0", "--health", s3Health, "--quiet", "posix", s.buckets)
	s.process.Stdout, s.process.Stderr = log, log
	s.process.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s3AccessKey, "ROOT_SECRET_KEY="+s3SecretKey)
	s.process.Cancel = func() error { return s.process.Process.Signal(syscall.SIGTERM) }
	s.process.WaitDelay = 10 * time.Second
	err = child.Start(s.process, func(err error) {
		defer close(s.ended)
		defer log.Close()
		if ctx.Err() == nil {
			s.err = errors.Join(errors.New("versitygw ended by itself"), err)
		}
	})
	if err != nil {
		s.stop()
		return errors.Join(err, log.Close())
	}
	return nil
}

const s3Health = "/health"

// ready finds the port that the kernel gave (the server prints the 0 it was told) and
// waits until the server answers.
func (s *S3) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	last := errors.New("it does not listen")
	for {
		if port, ok := listenPort(s.process.Process.Pid); ok {
			s.Endpoint = "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
			if last = s.answers(ctx); last == nil {
				return nil
			}
		}
		select {
		case <-poll.C:
		case <-s.ended:
			return s.err
		case <-ctx.Done():
			return last
		}
	}
}

func (s *S3) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+s3Health, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", s3Health, resp.Status)
	}
	return nil
}

// tcpListen is a line of /proc/net/tcp that is in state LISTEN: port in hex, and inode.
var tcpListen = regexp.MustCompile(`(?m)^ *\d+: [0-9A-F]{8}:([0-9A-F]{4}) [0-9A-F:]+ 0A (?:\S+ +){5}(\d+)`)

// listenPort returns the IPv4 port that a process listens on.
func listenPort(pid int) (int, bool) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	table, err := os.ReadFile(filepath.Join(proc, "net", "tcp"))
	if err != nil {
		return 0, false
	}
	ports := make(map[string]string) // by socket
	for _, m := range tcpListen.FindAllStringSubmatch(string(table), -1) {
		ports["socket:["+m[2]+"]"] = m[1]
	}
	files, _ := filepath.Glob(filepath.Join(proc, "fd", "*"))
	for _, f := range files {
		link, _ := os.Readlink(f)
		if port, err := strconv.ParseInt(ports[strings.TrimSpace(link)], 16, 32); err == nil {
			return int(port), true
		}
	}
	return 0, false
}
