package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
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

// heapProfile has so many samples: the leaves of a tree of stacks, 30 frames deep, out of
// 5,000 functions.
func heapProfile(samples int) gopprof.Profile {
	const depth, functions = 30, 5000
	stacks := make([]profiletest.Stack, samples)
	for i := range stacks {
		frames := make([]string, depth)
		for d := range depth {
			branch := i >> max(0, 16-d) // the callers of many are the same
			f := (branch*7919 + d*613) % functions
			frames[depth-1-d] = fmt.Sprintf("example.com/shop/package%d.(*Type%d).Method%d", f%50, f/50%10, f/500)
		}
		stacks[i] = profiletest.On(int64(512*(1+i%1000)), frames...)
	}
	return profileOf(gopprof.KindHeap, 0, profiletest.Heap(stacks...))
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
