package cause

import (
	"fmt"
	"math"
	"strings"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// judgesCPU tells whether the CPU profile can show anything but more of the same work.
func (j judged) judgesCPU() bool {
	_, ok := j.usable(gopprof.KindCPU)
	return ok && j.aboutCPU() && !j.sameShares()
}

// codeHot: a function of the service's.
func codeHot(j judged) (c gopprof.Cause, holds bool) {
	if j.sameShares() {
		return j.dearer()
	}
	if !j.judgesCPU() {
		return c, false
	}
	p := j.culprit(gopprof.KindCPU, cum, hotShare*j.question(gopprof.KindCPU))
	if p == nil {
		return c, false
	}
	uses := j.amount(gopprof.KindCPU, of(p.Name, cum))
	part := j.explained(gopprof.KindCPU, uses)
	share := j.share(gopprof.KindCPU, of(p.Name, cum))
	j.weighCPU(&c, part, share, chanceOfMany)
	c.Share = figures.Tidy(j.explained(gopprof.KindCPU, j.amount(gopprof.KindCPU, of(p.Name, code))))
	name(&c, p)
	c.Line = fmt.Sprintf("%s%s uses %s of the CPU%s", short(p.Name), below(p), figures.Percent(share.here),
		j.others(gopprof.KindCPU, figures.Percent(share.typical)))
	if !share.known && float64(p.Self) < ownPart*float64(p.Cum) {
		c.Confidence = gopprof.ConfidenceUnsure
		c.Line += ", spread over much of what it calls"
	}
	c.Proof = append(c.Proof, share.proof("CPU in "+short(p.Name)+" and what it calls", "ratio"))
	c.Proof = append(c.Proof, j.coresOf(uses, "CPU used there")...)
	c.Proof = append(c.Proof, j.proofOfRequests()...)
	return c, true
}

// dearer: the same work as ever, and each request takes more CPU for it.
func (j judged) dearer() (c gopprof.Cause, holds bool) {
	each := j.perRequest()
	if !j.aboutCPU() || !each.known || each.here < moreWork*each.typical {
		return c, false
	}
	c.Share, c.Confidence = j.factor(each), gopprof.ConfidenceLikely
	c.Line = fmt.Sprintf("each request takes %s times the CPU of %s, in all functions alike: larger requests or more data, or a slower machine",
		figures.Digits(each.times()), j.quiet(gopprof.KindCPU))
	c.Proof = append(c.Proof, j.proofOfRequests()...)
	return c, true
}

// factor is the part (0–1) of how many times the CPU is used that one of its factors explains:
// requests, and CPU for each, multiply.
func (j judged) factor(f figure) float64 {
	return figures.Tidy(min(1, max(0, math.Log(f.times())/math.Log(j.used().times()))))
}

// proofOfRequests is what is known of them.
func (j judged) proofOfRequests() []gopprof.Proof {
	each := j.perRequest()
	if !each.known {
		return nil
	}
	return []gopprof.Proof{each.proof("CPU for each request", "seconds"), j.requests().proof("requests a second", "count")}
}

// code is what a function and what it calls use for themselves: what goes into memory, locks
// and channels has causes of its own, and a function is named by those.
func code(p *profile.Part) int64 {
	return p.CumClasses[profile.ClassCode] + p.CumClasses[profile.ClassSyscall]
}

// coresOf tells an amount of CPU, which is known only when the profile's length is.
func (j judged) coresOf(f figure, what string) []gopprof.Proof {
	if s := j.Here[gopprof.KindCPU]; s == nil || s.Seconds <= 0 {
		return nil
	}
	return []gopprof.Proof{f.proof(what, "cores")}
}

// gcBound: allocating and collecting.
func gcBound(j judged) (c gopprof.Cause, holds bool) {
	if !j.judgesCPU() {
		return c, false
	}
	both := classes(profile.ClassGC, profile.ClassAlloc)
	share, collector := j.share(gopprof.KindCPU, both), j.share(gopprof.KindCPU, classes(profile.ClassGC))
	part := j.explained(gopprof.KindCPU, j.amount(gopprof.KindCPU, both))
	if collector.here < gcLeast || share.here < gcShare || part < gcShare || !share.beyond() {
		return c, false
	}
	j.weighCPU(&c, part, share, chanceOfFew)
	c.Line = fmt.Sprintf("allocating and collecting garbage use %s of the CPU%s", figures.Percent(share.here),
		j.others(gopprof.KindCPU, figures.Percent(share.typical)))
	j.allocator(&c)
	c.Line += j.tuned()
	c.Proof = append(c.Proof,
		share.proof("CPU in allocation and garbage collection", "ratio"),
		collector.proof("CPU in garbage collection alone", "ratio"))
	return c, true
}

// allocator names the function that most is allocated for, if it is one, and allocating was
// seen often enough to tell.
func (j judged) allocator(c *gopprof.Cause) {
	here, all := j.Here[gopprof.KindCPU], j.amount(gopprof.KindCPU, classes(profile.ClassAlloc)).excess()
	p := j.culprit(gopprof.KindCPU, allocated, sureShare*all)
	if p == nil || !(all > 0) || float64(here.Classes[profile.ClassAlloc]) < fewAllocs*here.Quantum {
		return
	}
	name(c, p)
	c.Line += ", most of it for what " + short(p.Name) + " allocates" + strings.TrimSuffix(below(p), ",")
}

func allocated(p *profile.Part) int64 { return p.CumClasses[profile.ClassAlloc] }

// tuned tells what the collector was told, if anybody can see that.
func (j judged) tuned() string {
	r, said := j.Capture.Target.Runtime, ""
	if r.GOGC != "" {
		said += " GOGC=" + profile.Printable(r.GOGC, 32)
	}
	if r.GOMEMLIMIT != "" {
		said += " GOMEMLIMIT=" + profile.Printable(r.GOMEMLIMIT, 32)
	}
	if said == "" {
		return ""
	}
	return " (" + said[1:] + ")"
}

// traffic: more of the same. By the requests' own count, where there is one; else by what the
// CPU is used for.
func traffic(j judged) (c gopprof.Cause, holds bool) {
	used, requests, d := j.used(), j.requests(), j.Differences[gopprof.KindCPU]
	switch {
	case !j.aboutCPU() || !used.known || used.here < moreWork*used.typical:
		return c, false
	case !d.SameShares && d.Note == "": // other work
		return c, false
	case requests.known && requests.here < moreWork*requests.typical: // as many requests
		return c, false
	}
	c.Share = 1
	c.Line = fmt.Sprintf("%s times the CPU of %s", figures.Digits(used.times()), j.quiet(gopprof.KindCPU))
	if requests.known {
		c.Share = j.factor(requests)
		c.Line += fmt.Sprintf(" for %s times the requests", figures.Digits(requests.times()))
	}
	var said string
	c.Confidence, said = j.ofTraffic()
	c.Line += said
	if c.Confidence != gopprof.ConfidenceUnsure && scope(j.Fleet) == gopprof.ScopePod {
		c.Line += "; the other pods have less of it: look at how it is balanced"
	}
	c.Proof = append(append(c.Proof, used.proof("CPU used", "cores")), j.proofOfRequests()...)
	return c, true
}

// ofTraffic says how sure it is that more CPU is more traffic, and by what.
func (j judged) ofTraffic() (gopprof.Confidence, string) {
	switch each := j.perRequest(); {
	case each.known && each.times() > sameWork:
		return gopprof.ConfidenceLikely, fmt.Sprintf(": more traffic, and each request takes %s times the CPU", figures.Digits(each.times()))
	case j.sameShares():
		return gopprof.ConfidenceSure, ", for the same functions in the same shares: more traffic, not other code"
	case each.known:
		return gopprof.ConfidenceLikely, ": more traffic, each request takes as much"
	}
	return gopprof.ConfidenceUnsure, "; the profiler saw too little to tell whether for the same work"
}

func (j judged) sameShares() bool { return j.Differences[gopprof.KindCPU].SameShares }
