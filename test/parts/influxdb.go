package parts

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gopprof/gopprof/test/child"
)

// InfluxDB is a running InfluxDB 1.8.
type InfluxDB struct {
	URL    string // "http://127.0.0.1:port", or https
	Listen string // "127.0.0.1:port", for another start in its place
	CAFile string // PEM, with TLS only

	options InfluxDBOptions
	client  *http.Client
	stop    context.CancelFunc
	ended   chan struct{} // closed when the process has ended
	err     error         // how it ended; valid after ended
}

// InfluxDBOptions are what a test may want of a server.
type InfluxDBOptions struct {
	// Username and Password turn authentication on; the user is an administrator.
	Username, Password string
	// TLS serves https with a certificate that a CA of its own signed, made in dir.
	TLS bool
	// MaxRowLimit is InfluxDB's max-row-limit; 0 is none.
	MaxRowLimit int
	// Listen is where to listen, for a server that comes back; empty lets the kernel choose.
	Listen string
}

// StartInfluxDB starts influxd with its data in dir and returns when it answers. It ends with
// Stop, with ctx, or with the process that started it. Its log is dir/influxd.log.
func StartInfluxDB(ctx context.Context, dir string) (*InfluxDB, error) {
	return StartInfluxDBWith(ctx, dir, InfluxDBOptions{})
}

// StartInfluxDBWith is StartInfluxDB with options. A dir that an earlier server used, and
// stopped, is taken up with its data.
func StartInfluxDBWith(ctx context.Context, dir string, o InfluxDBOptions) (*InfluxDB, error) {
	binary, err := Binary("influxd")
	if err != nil {
		return nil, err
	}
	db := &InfluxDB{options: o, ended: make(chan struct{})}
	if err := db.configure(dir); err != nil {
		return nil, fmt.Errorf("configuring influxd: %w", err)
	}
	log, err := newAddressLog(filepath.Join(dir, "influxd.log"))
	if err != nil {
		return nil, err
	}
	if err := db.start(ctx, binary, filepath.Join(dir, "influxd.conf"), log); err != nil {
		return nil, fmt.Errorf("starting influxd: %w", err)
	}
	if err := db.ready(ctx, log.address); err != nil {
		_ = db.Stop()
		return nil, fmt.Errorf("starting influxd: %w; the end of its log:\n%s", err, log.tail())
	}
	return db, nil
}

// errEnded is a server that ended with status 0 and was not told to.
var errEnded = errors.New("influxd ended by itself")

// Stop ends the server and returns when it has ended. Again, it does nothing.
func (db *InfluxDB) Stop() error {
	db.stop()
	<-db.ended
	return db.err
}

// Query runs a statement and returns the answer as it is; an error of InfluxDB is an error.
func (db *InfluxDB) Query(ctx context.Context, database, statement string) (string, error) {
	answer, err := db.send(ctx, http.MethodPost, "query", url.Values{"db": {database}, "q": {statement}, "epoch": {"ms"}}, nil)
	if err == nil && strings.Contains(answer, `"error":`) {
		err = fmt.Errorf("running %q: %s", statement, answer)
	}
	return answer, err
}

// Write writes lines of line protocol, with stamps in nanoseconds.
func (db *InfluxDB) Write(ctx context.Context, database, policy string, lines []byte) error {
	_, err := db.send(ctx, http.MethodPost, "write", url.Values{"db": {database}, "rp": {policy}}, bytes.NewReader(lines))
	return err
}

// Import loads what `influx_inspect export` wrote: statements, then lines, each with the
// database it is for in a comment.
func (db *InfluxDB) Import(ctx context.Context, export []byte) error {
	var database, policy string
	var lines bytes.Buffer
	for line := range strings.Lines(string(export)) {
		text := strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(text, "# CONTEXT-DATABASE:"); ok {
			database = name
		} else if name, ok := strings.CutPrefix(text, "# CONTEXT-RETENTION-POLICY:"); ok {
			policy = name
		} else if strings.HasPrefix(text, "CREATE DATABASE ") {
			if _, err := db.Query(ctx, "", text); err != nil {
				return err
			}
		} else if text != "" && !strings.HasPrefix(text, "#") {
			lines.WriteString(line)
		}
	}
	return db.Write(ctx, database, policy, lines.Bytes())
}

func (db *InfluxDB) send(ctx context.Context, method, page string, parameters url.Values, body io.Reader) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, db.URL+"/"+page+"?"+parameters.Encode(), body)
	if err != nil {
		return "", err
	}
	if db.options.Username != "" {
		req.SetBasicAuth(db.options.Username, db.options.Password)
	}
	resp, err := db.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("influxdb %s: status %d: %s", page, resp.StatusCode, answer)
	}
	return string(answer), err
}

// start starts the process, which closes its log when it ends.
func (db *InfluxDB) start(ctx context.Context, binary, config string, log io.WriteCloser) error {
	ctx, db.stop = context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, binary, "-config", config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"HOME=" + filepath.Dir(config), "PATH=" + os.Getenv("PATH")} // none of INFLUXDB_…
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err := child.Start(cmd, func(err error) {
		defer close(db.ended)
		defer log.Close()
		if ctx.Err() == nil {
			db.err = cmp.Or(err, errEnded)
		}
	})
	if err != nil {
		db.stop()
		return errors.Join(err, log.Close())
	}
	return nil
}

// ready waits until the server answers and, with authentication, has its user.
func (db *InfluxDB) ready(ctx context.Context, address <-chan string) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	select {
	case db.Listen = <-address:
	case <-db.ended:
		return db.err
	case <-ctx.Done():
		return ctx.Err()
	}
	db.URL = "http://" + db.Listen
	if db.options.TLS {
		db.URL = "https://" + db.Listen
	}
	if _, err := db.send(ctx, http.MethodGet, "ping", nil, nil); err != nil {
		return err
	}
	if db.options.Username == "" {
		return nil
	}
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `'`, `\'`).Replace
	_, err := db.Query(ctx, "", fmt.Sprintf(`CREATE USER "%s" WITH PASSWORD '%s' WITH ALL PRIVILEGES`, quote(db.options.Username), quote(db.options.Password)))
	return err
}

// configure writes the configuration: nothing listens but on loopback, nothing is reported to
// anybody, no database but the caller's.
func (db *InfluxDB) configure(dir string) error {
	listen := db.options.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	db.client = &http.Client{Transport: &http.Transport{}}
	certificate := ""
	if db.options.TLS {
		ca, cert, key, err := writeCertificate(dir)
		if err != nil {
			return err
		}
		pem, err := os.ReadFile(ca)
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		db.CAFile = ca
		db.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		certificate = fmt.Sprintf("https-enabled = true\nhttps-certificate = %q\nhttps-private-key = %q\n", cert, key)
	}
	text := fmt.Sprintf(influxdConfig, dir, listen, db.options.Username != "", db.options.MaxRowLimit, certificate)
	return os.WriteFile(filepath.Join(dir, "influxd.conf"), []byte(text), 0o600)
}

const influxdConfig = `reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
dir = "%[1]s/meta"
[data]
dir = "%[1]s/data"
wal-dir = "%[1]s/wal"
[monitor]
store-enabled = false
[subscriber]
enabled = false
[continuous_queries]
enabled = false
[logging]
format = "logfmt"
suppress-logo = true
[http]
bind-address = "%[2]s"
auth-enabled = %[3]t
max-row-limit = %[4]d
%[5]s`

// addressLog writes the server's log to a file and finds in it where the server listens.
type addressLog struct {
	mu      sync.Mutex // guards all below
	file    *os.File
	seen    []byte // the log's last bytes
	told    bool
	address chan string
}

func newAddressLog(path string) (*addressLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of influxd: %w", err)
	}
	return &addressLog{file: file, address: make(chan string, 1)}, nil
}

var listening = regexp.MustCompile(`msg="Listening on HTTP".* addr=(\S+) `)

func (l *addressLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, p...)
	if m := listening.FindSubmatch(l.seen); m != nil && !l.told {
		l.told = true
		l.address <- string(m[1])
	}
	const kept = 4 << 10
	l.seen = l.seen[max(0, len(l.seen)-kept):]
	return l.file.Write(p)
}

func (l *addressLog) Close() error { return l.file.Close() }

func (l *addressLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.seen)
}
