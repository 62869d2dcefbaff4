package static

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// maxPIDFileBytes bounds a PID file; a PID has seven digits at most.
const maxPIDFileBytes = 64

// readPID reads a PID file. The reason names why there is no process.
func readPID(path string) (pid int, reason gopprof.Reason, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer would hold up every other target
	if errors.Is(err, fs.ErrNotExist) {
		return 0, gopprof.ReasonNotStarted, fmt.Errorf("PID file: %w", err)
	} else if err != nil {
		return 0, gopprof.ReasonBadInput, fmt.Errorf("PID file: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() { // one with a writer would, too
		return 0, gopprof.ReasonBadInput, fmt.Errorf("PID file %q: %w", path, errors.Join(errNoFile, err))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPIDFileBytes+1))
	if err != nil {
		return 0, gopprof.ReasonBadInput, fmt.Errorf("PID file: %w", err)
	}
	pid, err = parsePID(string(data))
	if err != nil {
		return 0, gopprof.ReasonBadInput, fmt.Errorf("PID file %q: %w", path, err)
	}
	return pid, "", nil
}

var (
	errNoPID  = errors.New("does not hold one process ID")
	errNoFile = errors.New("is not a regular file")
)

func parsePID(data string) (int, error) {
	if len(data) > maxPIDFileBytes {
		return 0, errNoPID
	}
	pid, err := strconv.Atoi(strings.TrimSpace(data))
	if err != nil || pid < 1 || pid > maxPID {
		return 0, errNoPID
	}
	return pid, nil
}
