package gopprof

import "fmt"

// Kind is a kind of profile, named as net/http/pprof names it but for cpu, whose page is
// "profile".
type Kind string

// The kinds of profiles.
const (
	KindCPU          Kind = "cpu"
	KindHeap         Kind = "heap"
	KindAllocs       Kind = "allocs"
	KindGoroutine    Kind = "goroutine"
	KindMutex        Kind = "mutex"
	KindBlock        Kind = "block"
	KindThreadcreate Kind = "threadcreate"
	KindTrace        Kind = "trace" // not a pprof file; by hand only
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{KindCPU, KindHeap, KindAllocs, KindGoroutine, KindMutex, KindBlock, KindThreadcreate, KindTrace}
}

// ParseKind returns the kind of that name. "profile" is accepted for cpu, as in
// /debug/pprof/profile.
func ParseKind(s string) (Kind, error) {
	if s == "profile" {
		return KindCPU, nil
	}
	for _, k := range Kinds() {
		if string(k) == s {
			return k, nil
		}
	}
	return "", fmt.Errorf("profile kind %q: not one of %v", clip(s, 32), Kinds())
}

// Page returns the page of /debug/pprof that serves the kind.
func (k Kind) Page() string {
	if k == KindCPU {
		return "profile"
	}
	return string(k)
}

// Timed tells whether the kind is collected over a number of seconds.
func (k Kind) Timed() bool { return k == KindCPU || k == KindTrace }

// Extension returns the end of the file name under which the kind is stored.
func (k Kind) Extension() string {
	if k == KindTrace {
		return ".trace"
	}
	return ".pb.gz"
}

// Profile is one file of a capture, as its target sent it.
type Profile struct {
	Kind      Kind    `json:"kind"`
	Seconds   float64 `json:"seconds,omitempty"` // length of a timed kind
	SizeBytes int64   `json:"sizeBytes"`
	SHA256    string  `json:"sha256"` // lower-case hex of the bytes as they came
	Bytes     []byte  `json:"-"`      // the file; travels in chunks, beside the capture message
}

// Failure is a profile that was asked for and could not be had.
type Failure struct {
	Kind   Kind   `json:"kind"`
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"`
}
