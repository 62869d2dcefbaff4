// Package genuine takes real profiles of the test that asks for them: what Go itself
// writes, beside those that profiletest makes up.
//
// A kind enters, and for a CPU profile what is to burn; the bytes leave. It must never
// depend on how busy the machine is.
package genuine

import (
	"bytes"
	"context"
	"runtime"
	"runtime/pprof"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Secret is the value of a label of every CPU profile: what nobody may be shown.
const Secret = "secret-of-a-request"

// CPU profiles burn, called again and again until it has used so much CPU time: by the
// clock a busy machine would leave nothing for the profiler to see.
func CPU(used time.Duration, burn func()) []byte {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		panic(err)
	}
	pprof.Do(context.Background(), pprof.Labels("request", Secret), func(context.Context) {
		for end := threadTime() + used; threadTime() < end; {
			burn()
		}
	})
	pprof.StopCPUProfile()
	return b.Bytes()
}

// threadTime is the CPU time that this thread has used.
func threadTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Of is a profile of any other kind, with something in it: a heap profile tells of what the
// last collection left, and of one allocation in 512 KiB, so one is held here that neither
// misses.
func Of(k gopprof.Kind) []byte {
	held := make([]byte, 32<<20)
	defer runtime.KeepAlive(held)
	runtime.GC()
	var b bytes.Buffer
	if err := pprof.Lookup(string(k)).WriteTo(&b, 0); err != nil {
		panic(err)
	}
	return b.Bytes()
}
