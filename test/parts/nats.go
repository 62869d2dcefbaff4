package parts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/gopprof/gopprof/test/child"
)

// StartNATS starts the oldest NATS server that gopprof works with, with JetStream and its files
// in dir, and returns where it listens: on loopback, for who has the token. It ends with ctx;
// ended is closed then.
func StartNATS(ctx context.Context, dir, token string) (url string, ended <-chan struct{}, err error) {
	binary, err := Binary("nats-server-2.10")
	if err != nil {
		return "", nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, binary, "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", dir, "--auth", token,
		"--ports_file_dir", dir, "-l", filepath.Join(dir, "nats-server.log"))
	done := make(chan struct{})
	if err := child.Start(cmd, func(error) { stop(); close(done) }); err != nil {
		stop()
		return "", nil, fmt.Errorf("starting nats-server: %w", err)
	}
	for {
		select {
		case <-done:
			return "", nil, fmt.Errorf("starting nats-server: it ended: %s", filepath.Join(dir, "nats-server.log"))
		case <-time.After(10 * time.Millisecond):
		}
		if url, err = natsURL(dir); err == nil {
			return url, done, nil
		}
	}
}

var errNoURL = errors.New("no url yet")

// natsURL reads what the server wrote when it listened.
func natsURL(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "nats-server-2.10_*.ports"))
	if err != nil || len(files) == 0 {
		return "", errors.Join(err, errNoURL)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return "", err
	}
	var ports struct {
		NATS []string `json:"nats"`
	}
	if err := json.Unmarshal(data, &ports); err != nil {
		return "", err
	}
	if len(ports.NATS) == 0 {
		return "", errNoURL
	}
	return ports.NATS[0], nil
}
