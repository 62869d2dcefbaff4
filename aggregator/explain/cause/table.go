package cause

import "github.com/gopprof/gopprof/pkg/gopprof"

// rule judges one cause: what it explains and by which figures, or false when it does not
// hold.
type rule func(judged) (gopprof.Cause, bool)

// table is every rule, with what it looks at. docs/verdict.md is its explanation: change
// both together, and gopprof.VerdictVersion with them.
var table = []struct {
	kind     gopprof.CauseKind
	says     string
	byShares bool // of what a sampling profiler saw
	rule     rule
}{
	{gopprof.CauseThrottled, "quiet pods do as much work under a higher limit, or the CPU quota stops bursts whose mean is below it, or work of which nothing stands out in pods that are all hot", false, throttled},
	{gopprof.CauseTraffic, "more CPU than in quiet pods, spent on the same functions in the same shares", true, traffic},
	{gopprof.CauseGCBound, "the collector and allocation take much of the CPU, or of its excess", true, gcBound},
	{gopprof.CauseContention, "locks, channels, spinning and the scheduler take much of the CPU, or of its excess", true, contention},
	{gopprof.CauseCodeHot, "one of the service's functions, with what it calls, takes much of the CPU, or of its excess", true, codeHot},
	{gopprof.CauseGoroutines, "many more goroutines than in quiet pods are in one place", false, goroutines},
	{gopprof.CauseHeap, "one of the service's functions allocated much of what is in use, or of its excess", true, heapGrowth},
}

// The bounds of the rules, all shares from 0 to 1 where nothing else is said.
const (
	// hotShare is the part of the excess (or of the whole, where there is nothing to compare
	// with) from which on a function is told; sureShare from which on a cause can be sure.
	hotShare  = 0.25
	sureShare = 0.5

	// ownPart: of a function that spends less in itself and in Go's and libraries' code below
	// it, nobody can say without a comparison that it is what is wrong: it may be what leads
	// to everything.
	ownPart = 1.0 / 3

	// gcLeast: with the collector below, a program is not bound by it. gcShare is what the
	// collector and allocation together must take.
	gcLeast = 0.08
	gcShare = 0.35
	// fewAllocs is how many looks at allocation tell for whom most is allocated.
	fewAllocs = 10

	// beyondQuiet is how much larger a share of the CPU must be than in quiet pods.
	beyondQuiet = 0.1

	// waitShare is what locks, channels, spinning and scheduling together must take,
	// waitLeast what locks, channels and spinning must have of it.
	waitShare = 0.35
	waitLeast = 0.02
	// queueLeast is how many goroutines that wait tell where it waits.
	queueLeast = 5

	// sameWork: a pod does no more than quiet ones when it uses no more than so many times
	// their CPU. moreWork is how many times is more traffic.
	sameWork = 1.25
	moreWork = 1.4
	// higherLimit is how many times as high the limit of others must be to be called higher.
	higherLimit = 1.2
	// stopped is the share of CPU periods in which a container is stopped that matters;
	// quietUse the share of its limit below which it should not be.
	stopped  = 0.25
	quietUse = 0.8
	// enoughUse is the share of its limit that a container should use at most, where a better
	// limit is proposed.
	enoughUse = 0.6

	// pile is how many goroutines in one place are a pile, pileTimes how many times as many
	// as in quiet pods, pileShare the part of all goroutines.
	pile      = 500
	pileTimes = 5
	pileShare = 0.4

	// holdShare is the part of the live heap, or of its excess, that one function must hold.
	holdShare = 0.3
	// smallHeap is the part of the container's memory below which the heap does not tell
	// what fills it.
	smallHeap = 1.0 / 3
	// mostKept is how many bytes a waiting goroutine may keep alive and still be thought the
	// reason of them; smallPile is what a pile explains that is not.
	mostKept  = 256 << 10
	smallPile = 0.05
)
