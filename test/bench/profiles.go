package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/importer"
	"go/token"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"text/template"
	"time"

	google "github.com/google/pprof/profile"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// cpuProfile is a genuine one: of this program, while it does what services do.
func cpuProfile(ctx context.Context, d time.Duration) (gopprof.Profile, error) {
	var out bytes.Buffer
	if err := pprof.StartCPUProfile(&out); err != nil {
		return gopprof.Profile{}, err
	}
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; {
		serviceWork()
	}
	pprof.StopCPUProfile()
	return profileOf(gopprof.KindCPU, d.Seconds(), out.Bytes()), ctx.Err()
}

// order is what the work is about.
type order struct {
	ID    int
	Lines []string
	Total map[string]float64
}

var (
	sku  = regexp.MustCompile(`([A-Z]{2,5})-(\d+)-([a-z]+)`)
	page = template.Must(template.New("page").Parse(`{{range .Lines}}<li>{{.}}</li>{{end}}{{range $k, $v := .Total}}{{$k}}={{$v}}{{end}}`))
)

// serviceWork is some milliseconds of many libraries' work.
func serviceWork() {
	o := order{Total: map[string]float64{}}
	for i := range 200 {
		o.Lines = append(o.Lines, fmt.Sprintf("SKU-%d-blue %x", i*7919%1000, i))
		o.Total[fmt.Sprint("line", i)] = float64(i) / 3
	}
	text, _ := json.Marshal(o)
	var back order
	_ = json.Unmarshal(text, &back)
	slices.SortFunc(back.Lines, func(a, b string) int { return strings.Compare(strings.ToUpper(a), strings.ToUpper(b)) })
	_ = sku.ReplaceAllString(strings.Join(back.Lines, " "), "$2")
	var html bytes.Buffer
	_ = page.Execute(&html, back)
	zip := gzip.NewWriter(&html)
	_, _ = zip.Write(text)
	_ = zip.Close()
	_ = sha256.Sum256(html.Bytes())
	_ = new(big.Int).Exp(big.NewInt(3), big.NewInt(4093), big.NewInt(1<<61-1)).String()
}

// heapSamples is how many the heap profile has.
const heapSamples = 60_000

// heapProfile is a genuine one, cut to 60,000 samples: of a process that checks the types of
// net/http and of all that it imports, looked at as often as that takes.
func heapProfile(ctx context.Context, b *bench) (gopprof.Profile, error) {
	file := filepath.Join(b.dir, "heap-made.pb.gz")
	argv := b.role("heap", file)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return gopprof.Profile{}, fmt.Errorf("making a heap profile: %w: %s", err, out)
	}
	data, err := os.ReadFile(file)
	return profileOf(gopprof.KindHeap, 0, data), err
}

// runHeap writes the heap profile of what it does.
func runHeap(_ context.Context, file string) error {
	runtime.MemProfileRate = 100
	checked, err := importer.ForCompiler(token.NewFileSet(), "source", nil).Import("net/http")
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := pprof.Lookup("heap").WriteTo(&out, 0); err != nil {
		return err
	}
	runtime.KeepAlive(checked)
	p, err := google.Parse(&out)
	if err != nil {
		return err
	}
	p = p.Compact() // which makes one of samples that are the same
	if len(p.Sample) < heapSamples {
		return fmt.Errorf("%d samples, want %d", len(p.Sample), heapSamples)
	}
	p.Sample = p.Sample[:heapSamples]
	out.Reset()
	if err := p.Compact().Write(&out); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o600)
}

// goroutineProfile is a genuine one of so many goroutines, which wait at a hundred depths.
func goroutineProfile(n int) (gopprof.Profile, error) {
	release, waiting := make(chan struct{}), make(chan struct{}, n)
	defer close(release)
	for i := range n {
		go waitBelow(i%100, waiting, release)
	}
	for range n {
		<-waiting
	}
	var out bytes.Buffer
	err := pprof.Lookup("goroutine").WriteTo(&out, 0)
	return profileOf(gopprof.KindGoroutine, 0, out.Bytes()), err
}

func waitBelow(depth int, waiting chan<- struct{}, release <-chan struct{}) {
	if depth > 0 {
		waitBelow(depth-1, waiting, release)
		return
	}
	waiting <- struct{}{}
	<-release
}

func profileOf(k gopprof.Kind, seconds float64, data []byte) gopprof.Profile {
	sum := sha256.Sum256(data)
	return gopprof.Profile{Kind: k, Seconds: seconds, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Bytes: data}
}
