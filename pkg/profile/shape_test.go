package profile

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

func shapeOf(t *testing.T, k gopprof.Kind, data []byte) *Shape {
	t.Helper()
	p, err := Parse(data, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.Weigh(k)
	if err != nil {
		t.Fatal(err)
	}
	return w.Shape(10)
}

const look = 10_000_000 // nanoseconds

// Every stack belongs to one part; what a part takes is what is spent in it and in others'
// code below it.
func TestStacksBelongToTheInnermostOfTheService(t *testing.T) {
	on := profiletest.On
	s := shapeOf(t, gopprof.KindCPU, profiletest.CPU(10,
		on(50*look, "regexp.(*machine).step", "regexp.(*Regexp).MatchString", "shop/search.match", "shop/search.Find", "net/http.(*conn).serve", "runtime.goexit"),
		on(20*look, "shop/search.match", "shop/search.Find", "runtime.goexit"),
		on(5*look, "shop/search.Find", "runtime.goexit"),
		on(7*look, "github.com/lib/pq.parse /home/build/go/pkg/mod/github.com/lib/pq@v1.2.3/parse.go", "shop/search.Find", "runtime.goexit"),
		on(10*look, "runtime.scanobject", "runtime.gcDrain", "runtime.gcBgMarkWorker", "runtime.goexit"),
		on(8*look, "internal/poll.(*FD).Read", "net/http.(*conn).serve", "runtime.goexit"),
	))
	for name, want := range map[string]struct {
		self, cum int64
		own       bool
		below     string
	}{
		"shop/search.match":        {70, 70, true, "regexp.(*Regexp).MatchString"},
		"shop/search.Find":         {12, 82, true, "github.com/lib/pq.parse"},
		"runtime.gcBgMarkWorker":   {10, 10, false, "runtime.gcDrain"},
		"net/http.(*conn).serve":   {8, 58, false, "internal/poll.(*FD).Read"},
		"regexp.(*machine).step":   {0, 50, false, ""},
		"github.com/lib/pq.parse":  {0, 7, false, ""},
		"internal/poll.(*FD).Read": {0, 8, false, ""},
	} {
		p := s.Parts[name]
		if p == nil {
			t.Errorf("no part %q", name)
			continue
		}
		if p.Self != want.self*look || p.Cum != want.cum*look || p.Own != want.own || p.Below != want.below {
			t.Errorf("%s: self %d, cum %d, own %v, below %q; want %+v", name, p.Self/look, p.Cum/look, p.Own, p.Below, want)
		}
	}
	if want := []string{"net/http.(*conn).serve", "shop/search.Find"}; !slices.Equal(s.Parts["shop/search.match"].Path, want) {
		t.Errorf("path %q, want %q", s.Parts["shop/search.match"].Path, want)
	}
	if s.Own != 82*look || s.Classes[ClassGC] != 10*look || s.Total != 100*look {
		t.Errorf("own %d, classes %v of %d", s.Own/look, s.Classes, s.Total/look)
	}
	sum := int64(0)
	for _, p := range s.Parts {
		sum += p.Self
	}
	if sum != s.Total {
		t.Errorf("the parts hold %d of %d", sum, s.Total)
	}
}

// How often the profiler looked is what a profile says itself, whatever its period.
func TestQuantum(t *testing.T) {
	whole := profiletest.CPU(10, profiletest.On(50*look, "main.f"), profiletest.On(20*look, "main.g"))
	for name, test := range map[string]struct {
		change func(*Raw)
		want   float64
	}{
		"as Go writes it": {func(*Raw) {}, look},
		"no period":       {func(r *Raw) { r.Period = 0 }, look},
		"a wrong period":  {func(r *Raw) { r.Period = 1 }, look},
		"no count of looks": {func(r *Raw) {
			for _, s := range r.Sample {
				s.Value[0] = 0
			}
		}, look},
		"neither": {func(r *Raw) {
			r.Period = 0
			for _, s := range r.Sample {
				s.Value[0] = 0
			}
		}, look},
	} {
		p, err := Parse(whole, DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		test.change(p.Raw())
		w, err := p.Weigh(gopprof.KindCPU)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Shape(10).Quantum; got != test.want {
			t.Errorf("%s: %g, want %g", name, got, test.want)
		}
	}
}

func TestClasses(t *testing.T) {
	for name, test := range map[string]struct {
		frames []string // leaf first
		want   Class
	}{
		"assist":              {[]string{"runtime.scanobject", "runtime.gcAssistAlloc1", "runtime.mallocgc", "main.f"}, ClassGC},
		"allocation":          {[]string{"runtime.memclrNoHeapPointers", "runtime.mallocgcSmallScanNoHeader", "runtime.newobject", "main.f"}, ClassAlloc},
		"lock":                {[]string{"runtime.procyield", "internal/sync.runtime_doSpin", "internal/sync.(*Mutex).lockSlow", "main.f"}, ClassLock},
		"lock that passes":    {[]string{"internal/sync.(*Mutex).Lock", "sync.(*Mutex).Lock", "main.f"}, ClassLock},
		"pool":                {[]string{"sync.(*Pool).Get", "main.f"}, ClassCode},
		"pool, pinned":        {[]string{"sync.runtime_procPin", "sync.(*Pool).pin", "sync.(*Pool).Get", "main.f"}, ClassCode},
		"wait group":          {[]string{"runtime.semacquire1", "sync.runtime_SemacquireWaitGroup", "sync.(*WaitGroup).Wait", "main.f"}, ClassLock},
		"collector, no stack": {[]string{"runtime._GC", "runtime.memmove"}, ClassGC},
		"channel":             {[]string{"runtime.lock2", "runtime.chansend", "runtime.chansend1", "main.f"}, ClassChan},
		"scheduler":           {[]string{"runtime.futex", "runtime.findRunnable", "runtime.schedule", "runtime.park_m", "runtime.mcall"}, ClassSched},
		"yielding":            {[]string{"runtime.schedule", "runtime.goschedImpl", "runtime.gosched_m", "runtime.mcall"}, ClassSpin},
		"system call":         {[]string{"internal/runtime/syscall.Syscall6", "syscall.write", "os.(*File).Write", "main.f"}, ClassSyscall},
		"system call, 1.26":   {[]string{"internal/runtime/syscall/linux.Syscall6", "syscall.write", "os.(*File).Write", "main.f"}, ClassSyscall},
		"preempted":           {[]string{"runtime.mcall", "runtime.asyncPreempt", "main.f"}, ClassCode},
		"code":                {[]string{"main.f"}, ClassCode},
	} {
		s := shapeOf(t, gopprof.KindCPU, profiletest.CPU(10, profiletest.On(look, test.frames...)))
		if s.Classes[test.want] != look {
			t.Errorf("%s: %v, want %s", name, s.Classes, test.want)
		}
	}
}

func TestWaits(t *testing.T) {
	for want, inner := range map[Wait][]string{
		WaitLock:    {"runtime.gopark", "runtime.goparkunlock", "runtime.semacquire1", "internal/sync.runtime_SemacquireMutex", "internal/sync.(*Mutex).lockSlow", "sync.(*Mutex).Lock"},
		WaitGroup:   {"runtime.gopark", "runtime.semacquire1", "sync.runtime_SemacquireWaitGroup", "sync.(*WaitGroup).Wait"},
		WaitSend:    {"runtime.gopark", "runtime.chansend", "runtime.chansend1"},
		WaitReceive: {"runtime.gopark", "runtime.chanrecv", "runtime.chanrecv1"},
		WaitSelect:  {"runtime.gopark", "runtime.selectgo"},
		WaitSleep:   {"runtime.gopark", "time.Sleep"},
		WaitIO:      {"runtime.gopark", "runtime.netpollblock", "internal/poll.runtime_pollWait", "net.(*conn).Read"},
		WaitNone:    {"strings.Index"},
	} {
		s := shapeOf(t, gopprof.KindGoroutine, profiletest.Goroutine(profiletest.On(7, append(inner, "main.serve", "runtime.goexit")...)))
		if p := s.Parts["main.serve"]; p == nil || p.Self != 7 || p.Wait != want {
			t.Errorf("%q: %+v", want, p)
		}
	}
}

// Where it calls several functions of a package, the package is named.
func TestBelowIsAPackage(t *testing.T) {
	on := profiletest.On
	s := shapeOf(t, gopprof.KindCPU, profiletest.CPU(10,
		on(30*look, "encoding/json.Marshal", "shop.copy"), on(40*look, "encoding/json.Unmarshal", "shop.copy"), on(20*look, "shop.copy")))
	if p := s.Parts["shop.copy"]; p.Below != "encoding/json" {
		t.Errorf("below %q", p.Below)
	}
}

func TestShort(t *testing.T) {
	for name, want := range map[string]string{
		"shop/internal/cart.(*Cart).Total":                         "cart.(*Cart).Total",
		"slices.SortFunc[go.shape.[]int,go.shape.int]":             "slices.SortFunc[...]",
		"crypto/pbkdf2.Key[go.shape.interface { Sum([]uint8) }].f": "pbkdf2.Key[...].f",
		"example.com/a/v2.F":                                       "a.F", "main.main.func1": "main.main.func1", "encoding/json": "encoding/json", "": "",
		"a[[": "a[...]", "]a": "]a",
	} {
		if got := Short(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// A library is known by where its source lies; a program that was built out of the module
// cache is not one.
func TestOwners(t *testing.T) {
	const cache = "/home/build/go/pkg/mod/"
	for name, test := range map[string]struct {
		function, file string
		also           []string // another function and its file
		want           Owner
	}{
		"standard library":       {"encoding/json.Marshal", "encoding/json/encode.go", nil, OwnerRuntime},
		"service":                {"example.com/shop/cart.Add", "/src/cart/cart.go", nil, OwnerService},
		"service without a dot":  {"shop/cart.Add", "shop/cart/cart.go", nil, OwnerService},
		"library":                {"github.com/a/b.F", cache + "github.com/a/b@v1.2.3/f.go", []string{"main.main", "/src/main.go"}, OwnerLibrary},
		"library, trimmed paths": {"github.com/a/b.F", "github.com/a/b@v1.2.3/f.go", []string{"main.main", "shop/main.go"}, OwnerLibrary},
		"vendored":               {"github.com/a/b.F", "/src/vendor/github.com/a/b/f.go", []string{"main.main", "/src/main.go"}, OwnerLibrary},
		"of the program's own module in the cache": {"github.com/i/db/engine.F", cache + "github.com/i/db@v1.8.10/engine/f.go",
			[]string{"main.main", cache + "github.com/i/db@v1.8.10/cmd/db/main.go"}, OwnerService},
		"of another module than such a program's": {"github.com/a/b.F", cache + "github.com/a/b@v1.2.3/f.go",
			[]string{"main.main", cache + "github.com/i/db@v1.8.10/cmd/db/main.go"}, OwnerLibrary},
		"nothing but libraries":  {"github.com/a/b.F", cache + "github.com/a/b@v1.2.3/f.go", nil, OwnerService},
		"a type's own functions": {"type:.hash.example.com/shop/cart.key", "<autogenerated>", []string{"main.main", "/src/main.go"}, OwnerRuntime},
		"C called by a library": {"github.com/a/b._Cfunc_step", "_cgo_gotypes.go",
			[]string{"github.com/a/b.F", cache + "github.com/a/b@v1.2.3/f.go", "main.main", "/src/main.go"}, OwnerLibrary},
		"C called by the service": {"example.com/shop/img._Cfunc_scale", "_cgo_gotypes.go", []string{"example.com/shop/img.Scale", "/src/img/scale.go"}, OwnerService},
		"closure of the standard library, inlined": {"example.com/shop/cart.Add.Keys[...].func1", "/usr/local/go/src/maps/iter.go",
			[]string{"runtime.main", "/usr/local/go/src/runtime/proc.go", "main.main", "/src/main.go"}, OwnerRuntime},
		"closure of the standard library, inlined, trimmed paths": {"example.com/shop/cart.Add.Keys[...].func1", "maps/iter.go",
			[]string{"runtime.main", "runtime/proc.go", "main.main", "example.com/shop/main.go"}, OwnerRuntime},
		"closure of a library, inlined into main": {"github.com/a/b.F", cache + "github.com/a/b@v1.2.3/f.go",
			[]string{"main.main.Do.func1", cache + "github.com/a/b@v1.2.3/do.go", "main.main", "/src/main.go"}, OwnerLibrary},
		"closure of a library, inlined into a main in the cache": {"github.com/a/b.F", cache + "github.com/a/b@v1.2.3/f.go",
			[]string{"main.main.Do.func1", cache + "github.com/a/b@v1.2.3/do.go", "main.main", cache + "github.com/i/db@v1.8.10/main.go"}, OwnerLibrary},
		"service named like a package of the standard library": {"image/resize.F", "/src/resize/f.go",
			[]string{"runtime.main", "/usr/local/go/src/runtime/proc.go"}, OwnerService},
		"standard library's, written in the runtime": {"time.Sleep", "/usr/local/go/src/runtime/time.go",
			[]string{"runtime.main", "/usr/local/go/src/runtime/proc.go"}, OwnerRuntime},
		"Go's own command": {"cmd/compile/internal/ssa.Compile", "/usr/local/go/src/cmd/compile/internal/ssa/compile.go",
			[]string{"runtime.main", "/usr/local/go/src/runtime/proc.go"}, OwnerService},
		"what Go's own packages are vendored with": {"vendor/golang.org/x/net/http2/hpack.F", "/usr/local/go/src/vendor/golang.org/x/net/http2/hpack/f.go",
			[]string{"runtime.main", "/usr/local/go/src/runtime/proc.go"}, OwnerRuntime},
		"a toolchain out of the cache": {"encoding/json.Marshal", cache + "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64/src/encoding/json/encode.go",
			[]string{"runtime.main", cache + "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64/src/runtime/proc.go"}, OwnerRuntime},
		"bazel's library": {"github.com/a/b.F", "external/com_github_a_b/f.go",
			[]string{"main.main", "cmd/shop/main.go", "runtime.main", "external/go_sdk/src/runtime/proc.go"}, OwnerLibrary},
		"service's package called external":       {"example.com/shop/external/bank.Pay", "/src/external/bank/pay.go", []string{"main.main", "/src/main.go"}, OwnerService},
		"service below a directory called vendor": {"example.com/shop/cart.Add", "/home/vendor/shop/cart/cart.go", []string{"main.main", "/home/vendor/shop/main.go"}, OwnerService},
		"library of such a service":               {"github.com/a/b.F", "/home/vendor/shop/vendor/github.com/a/b/f.go", []string{"main.main", "/home/vendor/shop/main.go"}, OwnerLibrary},
		"service of somebody @vmware":             {"example.com/shop/cart.Add", "/home/me@vmware/shop/cart.go", []string{"example.com/shop/list.F", "/src/list.go"}, OwnerService},
	} {
		frame := func(name, file string) profiletest.Stack { return profiletest.On(look, name+" "+file) }
		stacks := []profiletest.Stack{frame(test.function, test.file)}
		for i := 0; i+1 < len(test.also); i += 2 {
			stacks = append(stacks, frame(test.also[i], test.also[i+1]))
		}
		p, err := Parse(profiletest.CPU(1, stacks...), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		w, err := p.Weigh(gopprof.KindCPU)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(w.Functions, func(f gopprof.Function) bool { return f.Name == test.function })
		if got := w.Owners()[at]; got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// Of two profiles of one build a function has the same owner, though one of them shows less
// of the program than the other.
func TestOwnersAsInAnother(t *testing.T) {
	const handler, library, entry = "github.com/i/db/engine.F /go/pkg/mod/github.com/i/db@v1.8.10/engine/f.go", "github.com/a/b.F /go/pkg/mod/github.com/a/b@v1.2.3/f.go",
		"main.main /go/pkg/mod/github.com/i/db@v1.8.10/main.go"
	whole := profiletest.CPU(10, profiletest.On(look, library, handler), profiletest.On(look, entry))
	part := profiletest.CPU(10, profiletest.On(look, library, handler))
	for name, test := range map[string]struct {
		here, there []byte
		self        int64 // of the library there
	}{
		"main is seen here":  {whole, part, 0},
		"main is seen there": {part, whole, look},
	} {
		here := shapeOf(t, gopprof.KindCPU, test.here)
		p, err := Parse(test.there, DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		w, err := p.Weigh(gopprof.KindCPU)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.ShapeLike(here, 10).Parts["github.com/a/b.F"]; got.Self != test.self {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// The difference of two shapes is what `go tool pprof -diff_base -top` says of the files.
func TestDifferenceAsGoToolPprof(t *testing.T) {
	var second bytes.Buffer
	if err := pprof.StartCPUProfile(&second); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(300 * time.Millisecond); time.Now().Before(until); {
		sink = even(40) + fibonacci(5)
	}
	pprof.StopCPUProfile()
	base := filepath.Join(t.TempDir(), "base.pb.gz")
	if err := os.WriteFile(base, second.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Parse(second.Bytes(), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := p.column(gopprof.KindCPU)
	if err != nil {
		t.Fatal(err)
	}
	here, there := shapeOf(t, gopprof.KindCPU, genuine()[gopprof.KindCPU]), shapeOf(t, gopprof.KindCPU, second.Bytes())
	told := goToolTop(t, genuine()[gopprof.KindCPU], want, true, "-diff_base="+base)
	if len(told) < 5 {
		t.Fatalf("go tool pprof tells of %d functions only", len(told))
	}
	for _, f := range told {
		if got := cumOf(here, f.Name) - cumOf(there, f.Name); got != f.Cum {
			t.Errorf("%s: %d ns more, go tool pprof says %d", f.Name, got, f.Cum)
		}
	}
}

func cumOf(s *Shape, name string) int64 {
	if p := s.Parts[name]; p != nil {
		return p.Cum
	}
	return 0
}
