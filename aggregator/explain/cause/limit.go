package cause

import (
	"fmt"
	"math"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// throttled: the limit is too low for the work that quiet pods do, too; or the work comes in
// bursts that the quota cuts; or there is nobody to compare with, and more is wanted than the
// limit lets be, of nothing in particular.
func throttled(j judged) (gopprof.Cause, bool) {
	limit := limitOf(j.Capture)
	if !j.aboutCPU() || !(limit > 0) {
		return gopprof.Cause{}, false
	}
	for _, rule := range []func(judged, float64) (gopprof.Cause, bool){judged.lowLimit, judged.bursts, judged.atLimit} {
		if c, ok := rule(j, limit); ok {
			return c, true
		}
	}
	return gopprof.Cause{}, false
}

// lowLimit: quiet pods use as much CPU and have more room.
func (j judged) lowLimit(limit float64) (c gopprof.Cause, holds bool) {
	used := j.used()
	if !used.known || used.here > sameWork*used.typical {
		return c, false
	}
	theirs := j.otherLimit()
	if theirs < higherLimit*limit {
		return c, false
	}
	c.Share, c.Confidence = 1, gopprof.ConfidenceSure
	c.Line = fmt.Sprintf("its limit of %s is too low for the work: %s use %s under limits of %s; %s would do",
		coreLimit(limit), j.quiet(gopprof.KindCPU), coresUsed(used.typical), figures.Cores(theirs), figures.Cores(enough(used)))
	c.Proof = append(c.Proof, used.proof("CPU used", "cores"),
		figure{here: limit, typical: theirs, known: true}.proof("CPU limit", "cores"), j.stops())
	return c, true
}

// enough is a limit under which the work takes enoughUse.
func enough(used figure) float64 {
	return math.Ceil(max(used.here, used.typical)/enoughUse*20) / 20
}

// bursts: stopped often though the mean is below the limit.
func (j judged) bursts(limit float64) (c gopprof.Cause, holds bool) {
	e := j.Capture.Trigger.Evidence
	if e == nil {
		return c, false
	}
	w := e.Newest()
	if w.ThrottledRatio < stopped || w.CPU.Ratio >= quietUse || w.CPU.Ratio <= 0 {
		return c, false
	}
	c.Share, c.Confidence = figures.Tidy(w.ThrottledRatio), gopprof.ConfidenceLikely
	c.Line = fmt.Sprintf("stopped in %s of its CPU periods though it uses %s of its limit of %s: work in bursts, on more threads than the limit has cores; a higher limit, or GOMAXPROCS at the limit, would do",
		figures.Percent(w.ThrottledRatio), figures.Percent(w.CPU.Ratio), coreLimit(limit))
	c.Proof = append(c.Proof, j.stops(), gopprof.Proof{What: "CPU used of the limit", Value: figures.Tidy(w.CPU.Ratio), Unit: "ratio"})
	return c, true
}

// atLimit: stopped often at the limit, by work that is spread over the service, and nobody is
// quiet. How much it would use without the limit cannot be seen.
func (j judged) atLimit(limit float64) (c gopprof.Cause, holds bool) {
	e := j.Capture.Trigger.Evidence
	if e == nil || len(j.Others[gopprof.KindCPU]) > 0 {
		return c, false
	}
	w := e.Newest()
	if w.ThrottledRatio < stopped || w.CPU.Ratio < quietUse || !j.spread() {
		return c, false
	}
	c.Share, c.Confidence = 1, gopprof.ConfidenceLikely
	if scope(j.Fleet) != gopprof.ScopeWorkload || j.FewLooks { // what stands out is judged by shares
		c.Confidence = gopprof.ConfidenceUnsure
	}
	c.Line = fmt.Sprintf("stopped in %s of its CPU periods: it wants more than its limit of %s, for work of which nothing stands out",
		figures.Percent(w.ThrottledRatio), coreLimit(limit))
	c.Proof = append(c.Proof, j.stops(), gopprof.Proof{What: "CPU used of the limit", Value: figures.Tidy(w.CPU.Ratio), Unit: "ratio"})
	return c, true
}

// spread tells whether no function of the service takes much of the CPU, but such as lead to
// many others.
func (j judged) spread() bool {
	if _, ok := j.usable(gopprof.KindCPU); !ok {
		return false
	}
	p := j.culprit(gopprof.KindCPU, cum, hotShare*j.question(gopprof.KindCPU))
	return p == nil || float64(p.Self) < ownPart*float64(p.Cum)
}

// stops is the share of the CPU periods in which the container was stopped lately.
func (j judged) stops() gopprof.Proof {
	ratio := 0.0
	if e := j.Capture.Trigger.Evidence; e != nil {
		ratio = e.Newest().ThrottledRatio
	}
	return gopprof.Proof{What: "CPU periods in which it was stopped", Value: figures.Tidy(ratio), Unit: "ratio"}
}

// limitOf is a container's CPU limit in cores, 0 when there is none or nobody knows.
func limitOf(c gopprof.Capture) float64 {
	if e := c.Trigger.Evidence; e != nil {
		if use := e.Newest().CPU; use.Basis == gopprof.BasisLimit && use.Limit > 0 {
			return use.Limit
		}
		return 0
	}
	for i := len(c.History.Local) - 1; i >= 0; i-- {
		if p := c.History.Local[i]; p.HasCPU {
			return p.CPULimitCores
		}
	}
	return 0
}

// otherLimit is the lowest limit of the quiet pods, 0 when one is not known.
func (j judged) otherLimit() float64 {
	lowest := 0.0
	for i, o := range j.Others[gopprof.KindCPU] {
		if l := limitOf(o.Capture); i == 0 || l < lowest {
			lowest = l
		}
	}
	return lowest
}

func coreLimit(v float64) string { return figures.Cores(v) + coreOrCores(v) }

func coresUsed(v float64) string { return figures.Digits(v) + coreOrCores(v) }

func coreOrCores(v float64) string {
	if v == 1 {
		return " core"
	}
	return " cores"
}
