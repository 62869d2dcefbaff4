package profile

import "strings"

// Class is what a program does on a stack of a CPU profile, as far as the Go runtime's own
// functions tell.
type Class int

// The classes. Each stack has one, the first of them that it belongs to.
const (
	ClassGC      Class = iota // marking, sweeping, giving memory back, helping the collector
	ClassSpin                 // giving up the CPU only to go on: runtime.Gosched
	ClassLock                 // sync's locks
	ClassChan                 // channel operations and select
	ClassAlloc                // allocating memory
	ClassSched                // the scheduler between goroutines
	ClassSyscall              // in the kernel
	ClassCode                 // everything else
	classes
)

// Classes is how many classes there are.
const Classes = int(classes)

// String names a class for a person.
func (c Class) String() string {
	return [...]string{"garbage collection", "spinning", "locks", "channels", "allocation", "scheduling", "system calls", "code"}[c]
}

// marks are what one function tells of the stacks that it is on.
type mark struct {
	class Class
	// where the function must stand: anywhere, at the outermost end, or at the leaf.
	place place
}

type place int

const (
	anywhere place = iota
	outermost
	atLeaf
)

// none is the mark of a function that tells nothing.
var none = mark{class: ClassCode}

// marked lists functions of the Go runtime by the beginning of their names, as they were
// called since Go 1.18 and are in 1.26 (runtime/mgc.go, malloc.go, proc.go, chan.go;
// internal/sync/mutex.go).
var marked = []struct {
	prefix string
	mark
}{
	{"runtime.gcBgMarkWorker", mark{ClassGC, anywhere}},
	{"runtime.gcAssistAlloc", mark{ClassGC, anywhere}},
	{"runtime.deductAssistCredit", mark{ClassGC, anywhere}},
	{"runtime.gcDrain", mark{ClassGC, anywhere}},
	{"runtime.gcStart", mark{ClassGC, anywhere}},
	{"runtime.gcMarkDone", mark{ClassGC, anywhere}},
	{"runtime.gcMarkTermination", mark{ClassGC, anywhere}},
	{"runtime.bgsweep", mark{ClassGC, anywhere}},
	{"runtime.bgscavenge", mark{ClassGC, anywhere}},
	{"runtime.sweepone", mark{ClassGC, anywhere}},
	{"runtime.(*mheap).reclaim", mark{ClassGC, anywhere}},
	{"runtime.(*sweepLocked).sweep", mark{ClassGC, anywhere}},
	{"runtime.wbBufFlush", mark{ClassGC, anywhere}},
	{"runtime.gcWriteBarrier", mark{ClassGC, anywhere}},
	{"runtime._GC", mark{ClassGC, anywhere}}, // where the profiler could not walk the stack
	{"runtime.gosched_m", mark{ClassSpin, anywhere}},
	{"runtime.Gosched", mark{ClassSpin, anywhere}},
	{"sync.runtime_Sem", mark{ClassLock, anywhere}}, // not runtime_procPin, which is sync.Pool's
	{"sync.runtime_notifyList", mark{ClassLock, anywhere}},
	{"sync.runtime_doSpin", mark{ClassLock, anywhere}},
	{"sync.runtime_canSpin", mark{ClassLock, anywhere}},
	{"sync.(*Mutex).", mark{ClassLock, anywhere}},
	{"sync.(*RWMutex).", mark{ClassLock, anywhere}},
	{"sync.(*Cond).", mark{ClassLock, anywhere}},
	{"internal/sync.(*Mutex).", mark{ClassLock, anywhere}},
	{"internal/sync.runtime_", mark{ClassLock, anywhere}},
	{"runtime.chansend", mark{ClassChan, anywhere}},
	{"runtime.chanrecv", mark{ClassChan, anywhere}},
	{"runtime.selectgo", mark{ClassChan, anywhere}},
	{"runtime.selectnb", mark{ClassChan, anywhere}},
	{"runtime.closechan", mark{ClassChan, anywhere}},
	{"runtime.mallocgc", mark{ClassAlloc, anywhere}},
	{"runtime.mcall", mark{ClassSched, outermost}},
	{"runtime.mstart", mark{ClassSched, outermost}},
	{"runtime.park_m", mark{ClassSched, outermost}},
	{"runtime.schedule", mark{ClassSched, outermost}},
	{"runtime.findRunnable", mark{ClassSched, outermost}},
	{"runtime.sysmon", mark{ClassSched, outermost}},
	{"internal/runtime/syscall", mark{ClassSyscall, atLeaf}},
	{"syscall.", mark{ClassSyscall, atLeaf}},
	{"runtime/internal/syscall.", mark{ClassSyscall, atLeaf}},
	{"runtime.cgocall", mark{ClassSyscall, anywhere}},
}

func markOf(name string) mark {
	for _, m := range marked {
		if strings.HasPrefix(name, m.prefix) {
			return m.mark
		}
	}
	return none
}

// classOf returns the class of a stack, leaf first.
func classOf(stack []int, marks []mark) Class {
	class := ClassCode
	for i, f := range stack {
		m := marks[f]
		if m.place == outermost && i != len(stack)-1 || m.place == atLeaf && i != 0 {
			continue
		}
		class = min(class, m.class)
	}
	return class
}

// Wait is what a goroutine waits for.
type Wait string

// The waits.
const (
	WaitNone    Wait = ""              // it runs, or nobody knows
	WaitLock    Wait = "a lock"        // sync.Mutex, sync.RWMutex
	WaitGroup   Wait = "others to end" // sync.WaitGroup, sync.Cond
	WaitSend    Wait = "a channel to take what it sends"
	WaitReceive Wait = "a channel to receive from"
	WaitSelect  Wait = "one of several channels"
	WaitSleep   Wait = "a timer"
	WaitIO      Wait = "the network or a file"
)

// waits lists what the innermost frames of a waiting goroutine's stack say, the first that
// is found counts.
var waits = []struct {
	prefix string
	wait   Wait
}{
	{"sync.runtime_SemacquireWaitGroup", WaitGroup},
	{"sync.(*WaitGroup)", WaitGroup},
	{"sync.(*Cond)", WaitGroup},
	{"sync.runtime_notifyListWait", WaitGroup},
	{"sync.runtime_SemacquireRWMutex", WaitLock},
	{"sync.runtime_SemacquireMutex", WaitLock},
	{"internal/sync.runtime_SemacquireMutex", WaitLock},
	{"internal/sync.(*Mutex)", WaitLock},
	{"sync.(*Mutex)", WaitLock},
	{"sync.(*RWMutex)", WaitLock},
	{"runtime.chansend", WaitSend},
	{"runtime.chanrecv", WaitReceive},
	{"runtime.selectgo", WaitSelect},
	{"runtime.block", WaitSelect},
	{"time.Sleep", WaitSleep},
	{"internal/poll.runtime_pollWait", WaitIO},
	{"runtime.netpollblock", WaitIO},
}

func waitOf(name string) Wait {
	for _, w := range waits {
		if strings.HasPrefix(name, w.prefix) {
			return w.wait
		}
	}
	return WaitNone
}
