package profile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Work for the real profiles: recursion, mutual recursion, inlined calls, several lines of
// one function.

//go:noinline
func fibonacci(n int) int {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

//go:noinline
func even(n int) int {
	if n == 0 {
		return spin(2000)
	}
	return odd(n - 1)
}

//go:noinline
func odd(n int) int {
	if n == 0 {
		return spin(1000)
	}
	return even(n-1) + 1
}

// spin is small enough to be inlined into even and odd.
func spin(n int) int {
	x := 0
	for i := range n {
		x = x*31 + i
	}
	return x
}

var sink any

func work(until time.Time) {
	x := 0
	for time.Now().Before(until) {
		x += fibonacci(18) + even(9) + odd(8)
		h := sha256.Sum256(make([]byte, 4096))
		x += int(h[0])
	}
	sink = x
}

//go:noinline
func hold(depth int) [][]byte {
	if depth == 0 {
		return [][]byte{make([]byte, 1<<20)}
	}
	return append(hold(depth-1), make([]byte, 1<<20))
}

// contend makes entries in the mutex and block profiles.
func contend() {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				mu.Lock()
				sink = spin(20000)
				mu.Unlock()
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
}

// genuine returns one genuine profile of every kind, of this process.
var genuine = sync.OnceValue(func() map[gopprof.Kind][]byte {
	defer runtime.SetMutexProfileFraction(runtime.SetMutexProfileFraction(1))
	runtime.SetBlockProfileRate(1)
	defer runtime.SetBlockProfileRate(0)

	files := map[gopprof.Kind][]byte{}
	var cpu bytes.Buffer
	if err := pprof.StartCPUProfile(&cpu); err != nil {
		panic(err)
	}
	labels := pprof.Labels("request", "secret-of-a-request")
	pprof.Do(context.Background(), labels, func(context.Context) { work(time.Now().Add(time.Second)) })
	pprof.StopCPUProfile()
	files[gopprof.KindCPU] = cpu.Bytes()

	held := hold(16)
	contend()
	stop := make(chan struct{})
	defer close(stop)
	for range 10 {
		go func() { <-stop }()
	}
	runtime.GC()
	for _, kind := range []gopprof.Kind{gopprof.KindHeap, gopprof.KindAllocs, gopprof.KindGoroutine, gopprof.KindMutex, gopprof.KindBlock, gopprof.KindThreadcreate} {
		var b bytes.Buffer
		if err := pprof.Lookup(string(kind)).WriteTo(&b, 0); err != nil {
			panic(err)
		}
		files[kind] = b.Bytes()
	}
	runtime.KeepAlive(held)
	return files
})

var topLine = regexp.MustCompile(`^\s*(\S+)\s+\S+%\s+\S+%\s+(\S+)\s+\S+%\s\s(.*)$`)

// pprofTool builds the reference implementation, once, and returns its path.
var pprofTool = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "pprof").Output()
	return strings.TrimSpace(string(out)), err
})

// goToolTop is what `go tool pprof -top` says of a file, in the order printed.
func goToolTop(t *testing.T, file []byte, w value, cum bool, more ...string) []gopprof.Function {
	t.Helper()
	path := filepath.Join(t.TempDir(), "profile.pb.gz")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	unit := map[string]string{"nanoseconds": "ns", "bytes": "B", "count": "count"}[w.unit]
	args := []string{"-top", "-symbolize=none", "-nodefraction=0", "-edgefraction=0", "-sample_index=" + w.name, "-unit=" + unit}
	if cum {
		args = append(args, "-cum")
	}
	args = append(args, more...)
	tool, err := pprofTool()
	if err != nil {
		t.Fatalf("go tool -n pprof: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), tool, append(args, path)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go tool pprof %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	var top []gopprof.Function
	for line := range strings.Lines(string(out)) {
		m := topLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		name := strings.TrimSuffix(strings.TrimSuffix(m[3], " (inline)"), " (partial-inline)")
		top = append(top, gopprof.Function{Name: name, Flat: number(t, m[1]), Cum: number(t, m[2])})
	}
	return top
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	f, err := strconv.ParseFloat(strings.TrimRight(s, "nsBcout"), 64)
	if err != nil {
		t.Fatalf("number %q of go tool pprof: %v", s, err)
	}
	return int64(f)
}
