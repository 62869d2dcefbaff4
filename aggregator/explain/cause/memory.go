package cause

import (
	"fmt"
	"math"
	"strconv"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// heapGrowth: one function's allocations are in use and stay.
func heapGrowth(j judged) (c gopprof.Cause, holds bool) {
	heap, ok := j.usable(gopprof.KindHeap)
	if !ok || !j.aboutMemory() {
		return c, false
	}
	p := j.culprit(gopprof.KindHeap, cum, holdShare*j.question(gopprof.KindHeap))
	if p == nil {
		return c, false
	}
	bytes := j.amount(gopprof.KindHeap, of(p.Name, cum))
	j.weigh(&c, gopprof.KindHeap, j.explained(gopprof.KindHeap, bytes))
	j.asMemory(&c, float64(heap.Total))
	name(&c, p)
	c.Line = fmt.Sprintf("%s%s allocated %s of %s live heap%s", short(p.Name), below(p), figures.Size(bytes.here),
		figures.Size(float64(heap.Total)), j.others(gopprof.KindHeap, figures.Size(bytes.typical)))
	c.Proof = append(c.Proof, bytes.proof("live heap allocated by "+short(p.Name), "bytes"),
		j.amount(gopprof.KindHeap, total).proof("live heap", "bytes"))
	c.Line += j.growing(&c)
	return c, true
}

// asMemory lowers what a part of the heap explains where the heap is a small part of the
// container's memory.
func (j judged) asMemory(c *gopprof.Cause, heap float64) {
	e := j.Capture.Trigger.Evidence
	if e == nil || e.Resource != gopprof.ResourceMemory || !(e.Newest().Memory.Mean > 0) {
		return
	}
	of := min(1, heap/e.Newest().Memory.Mean)
	c.Share = figures.Tidy(c.Share * of)
	if of < smallHeap {
		c.Confidence = gopprof.ConfidenceUnsure
	}
}

// goroutines: a pile in one place.
func goroutines(j judged) (c gopprof.Cause, holds bool) {
	s, ok := j.usable(gopprof.KindGoroutine)
	if !ok {
		return c, false
	}
	p := j.largest(gopprof.KindGoroutine, piled)
	if p == nil {
		return c, false
	}
	n := j.amount(gopprof.KindGoroutine, of(p.Name, self))
	if n.here < pile || n.here < pileShare*float64(s.Total) || n.known && n.here < pileTimes*n.typical {
		return c, false
	}
	j.weigh(&c, gopprof.KindGoroutine, j.explained(gopprof.KindGoroutine, n))
	name(&c, p)
	c.Line = fmt.Sprintf("%.0f of %d goroutines are in %s%s%s", n.here, s.Total, short(p.Name),
		waitFor(p), j.others(gopprof.KindGoroutine, strconv.FormatFloat(math.Round(n.typical), 'f', 0, 64)))
	c.Proof = append(c.Proof, n.proof("goroutines in "+short(p.Name), "count"),
		j.amount(gopprof.KindGoroutine, total).proof("goroutines", "count"))
	j.asPile(&c, n.here)
	c.Line += j.growing(&c)
	return c, true
}

// piled is how many goroutines are in a function. Those of Go's own or of a library that wait
// for the network are connections.
func piled(p *profile.Part) int64 {
	if !p.Own && p.Wait == profile.WaitIO {
		return 0
	}
	return p.Self
}

// asPile says what a pile explains. Of memory: its stacks, and what the goroutines keep alive
// for as long as they wait; where that would have to be more than a request keeps as a rule,
// or there is no more in use than in quiet pods, the memory is somebody else's. Of CPU nothing by itself.
func (j judged) asPile(c *gopprof.Cause, n float64) {
	switch j.resource {
	case "":
	case gopprof.ResourceMemory:
		each := j.kept() / n
		switch {
		case each > mostKept || each <= 0:
			c.Share, c.Confidence = smallPile, gopprof.ConfidenceUnsure
		default:
			c.Proof = append(c.Proof, gopprof.Proof{What: "memory in use for each of them", Value: figures.Tidy(each), Unit: "bytes"})
			c.Line += fmt.Sprintf("; each would keep %s of the memory in use", figures.Size(math.Round(each)))
		}
	default:
		c.Share, c.Confidence = smallPile, gopprof.ConfidenceUnsure
	}
}

// kept is the memory that is to be explained: the live heap beyond that of the others, or all
// that the container uses where the heap is not known.
func (j judged) kept() float64 {
	if _, ok := j.usable(gopprof.KindHeap); ok {
		return j.amount(gopprof.KindHeap, total).excess()
	}
	return j.Capture.Trigger.Evidence.Newest().Memory.Mean
}

func waitFor(p *profile.Part) string {
	switch {
	case p.Wait == profile.WaitNone:
		return ""
	case p.Waiting < p.Self:
		return fmt.Sprintf(", %d waiting for %s", p.Waiting, p.Wait)
	}
	return ", waiting for " + string(p.Wait)
}
