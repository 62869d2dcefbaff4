package group

import (
	"fmt"
	"strconv"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// words are those of a kind.
type words struct {
	share string // of a pod's total in a function, both as %s
	total string
}

func wordsOf(kind gopprof.Kind) words {
	switch kind {
	case gopprof.KindCPU:
		return words{"spends %s in %s", "CPU time"}
	case gopprof.KindHeap:
		return words{"holds %s of its live heap from %s", "live heap"}
	case gopprof.KindAllocs:
		return words{"allocated %s of its bytes in %s", "allocated bytes"}
	case gopprof.KindGoroutine:
		return words{"has %s of its goroutines in %s", "goroutines"}
	case gopprof.KindThreadcreate:
		return words{"has %s of its threads from %s", "threads"}
	case gopprof.KindMutex:
		return words{"has %s of its waits for locks from %s", "waits for locks"}
	}
	return words{"waits %s of its time in %s", "waits"}
}

// in says what share a pod has of a function.
func (w words) in(d difference) string {
	return fmt.Sprintf(w.share, figures.Percent(d.share), profile.Short(d.function))
}

// times says how many times the typical total a pod has, or what part of it.
func (w words) times(total, typical float64) string {
	ratio, how := total/typical, ""
	switch {
	case typical == 0:
		return "has " + w.total + ", most of the others none"
	case ratio < 1:
		how = figures.Percent(ratio) + " of"
	case ratio < 10:
		how = strconv.FormatFloat(ratio, 'f', 1, 64) + " times"
	case ratio < 1000:
		how = strconv.FormatFloat(ratio, 'f', 0, 64) + " times"
	default:
		how = "more than 1000 times"
	}
	return "has " + how + " the " + w.total + " of the others"
}

// maxPod is the longest name of a pod in a text, in bytes: outside Kubernetes it may be
// anything.
const maxPod = 320

func printed(pod string) string { return profile.Printable(pod, maxPod) }
