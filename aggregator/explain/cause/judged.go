package cause

import (
	"github.com/gopprof/gopprof/pkg/chance"
	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// judged is the facts as the rules look at them.
type judged struct {
	Facts
	resource gopprof.Resource // that the rule watched; "" for captures by hand
}

func newJudged(f Facts) judged {
	j := judged{Facts: f}
	if e := f.Capture.Trigger.Evidence; e != nil {
		j.resource = e.Resource
	}
	return j
}

// aboutCPU tells whether CPU time is the question, aboutMemory whether memory is. Of a
// capture by hand both are.
func (j judged) aboutCPU() bool    { return j.resource != gopprof.ResourceMemory }
func (j judged) aboutMemory() bool { return j.resource == gopprof.ResourceMemory || j.resource == "" }

// usable returns a kind's profile if there is anything in it.
func (j judged) usable(k gopprof.Kind) (*profile.Shape, bool) {
	s := j.Here[k]
	return s, s != nil && s.Total > 0
}

// compared tells whether a kind was compared and differs beyond chance.
func (j judged) compared(k gopprof.Kind) (gopprof.Difference, bool) {
	d, ok := j.Differences[k]
	return d, ok && d.Significant
}

// figure is one number of the capture beside the others'.
type figure struct {
	here    float64
	typical float64 // mean of the others
	known   bool    // there are others
}

func (f figure) excess() float64 { return f.here - f.typical }

// times is how many times the others' it is.
func (f figure) times() float64 { return f.here / f.typical }

// beyond tells whether a share of the CPU is larger than in quiet pods by what matters.
func (f figure) beyond() bool { return !f.known || f.excess() >= beyondQuiet }

// proof writes it into a cause.
func (f figure) proof(what, unit string) gopprof.Proof {
	p := gopprof.Proof{What: what, Value: figures.Tidy(f.here), Unit: unit}
	if f.known {
		t := figures.Tidy(f.typical)
		p.Typical = &t
	}
	return p
}

// amount is a kind's figure per second of a timed profile, absolute otherwise: cores, bytes,
// goroutines.
func (j judged) amount(k gopprof.Kind, of func(*profile.Shape) int64) figure {
	return j.figure(k, func(s *profile.Shape) float64 { return s.Amount(of(s)) })
}

// share is a figure as a part of all that each side spends.
func (j judged) share(k gopprof.Kind, of func(*profile.Shape) int64) figure {
	return j.figure(k, func(s *profile.Shape) float64 { return ratio(float64(of(s)), float64(s.Total)) })
}

func (j judged) figure(k gopprof.Kind, of func(*profile.Shape) float64) figure {
	f := figure{here: of(j.Here[k])}
	others := j.Others[k]
	for _, o := range others {
		f.typical += of(o.Shape) / float64(len(others))
	}
	f.known = len(others) > 0
	return f
}

// used is how many cores were used while the CPU profile was taken: what the cgroup counted,
// which is exact; the profile's own total where that is not known.
func (j judged) used() figure {
	f := figure{}
	here := j.Here[gopprof.KindCPU]
	if here == nil {
		return f
	}
	f.here = coresUsedBy(j.Capture, here)
	others := j.Others[gopprof.KindCPU]
	for _, o := range others {
		f.typical += coresUsedBy(o.Capture, o.Shape) / float64(len(others))
	}
	f.known = len(others) > 0 && f.typical > 0
	return f
}

// requests is how many requests were served a second, by the targets' own counters; known
// where all have one.
func (j judged) requests() figure {
	d := j.Differences[gopprof.KindCPU]
	return figure{here: d.HereRequests, typical: d.TypicalRequests, known: d.HereRequests > 0 && d.TypicalRequests > 0}
}

// perRequest is the CPU seconds that each request took.
func (j judged) perRequest() figure {
	used, requests := j.used(), j.requests()
	if !used.known || !requests.known {
		return figure{}
	}
	return figure{here: used.here / requests.here, typical: used.typical / requests.typical, known: true}
}

func coresUsedBy(c gopprof.Capture, s *profile.Shape) float64 {
	if c.CPUSeconds > 0 && s.Seconds > 0 {
		return c.CPUSeconds / s.Seconds
	}
	return s.Amount(s.Total)
}

func ratio(part, whole float64) float64 {
	if !(whole > 0) {
		return 0
	}
	return part / whole
}

func total(s *profile.Shape) int64 { return s.Total }

func classes(cs ...profile.Class) func(*profile.Shape) int64 {
	return func(s *profile.Shape) int64 {
		sum := int64(0)
		for _, c := range cs {
			sum += s.Classes[c]
		}
		return sum
	}
}

// of picks one figure of one function out of a profile.
func of(name string, figure func(*profile.Part) int64) func(*profile.Shape) int64 {
	return func(s *profile.Shape) int64 {
		if p := s.Parts[name]; p != nil {
			return figure(p)
		}
		return 0
	}
}

func cum(p *profile.Part) int64  { return p.Cum }
func self(p *profile.Part) int64 { return p.Self }

// selfOwn is self of the service's functions.
func selfOwn(p *profile.Part) int64 {
	if p.Own {
		return p.Self
	}
	return 0
}

// explained is the part of what the capture was made for that a figure explains: of the
// excess over the others, or of the whole where there are none. Where the whole exceeds
// theirs by little, it is that of the whole by which the figure exceeds theirs: what they
// have as well explains nothing.
func (j judged) explained(k gopprof.Kind, part figure) float64 {
	return min(1, max(0, ratio(part.excess(), j.question(k))))
}

// question is the amount that is to be explained.
func (j judged) question(k gopprof.Kind) float64 {
	whole := j.amount(k, total)
	if whole.known && whole.excess() > leastExcess*whole.here {
		return whole.excess()
	}
	return whole.here
}

// leastExcess is the part of the whole that an excess must be to be explained for itself.
const leastExcess = 0.2

// weigh sets how sure a cause is that explains a share: from sureShare on, and on the word
// of the others where there are any. If they do not differ, it is not sure.
func (j judged) weigh(c *gopprof.Cause, k gopprof.Kind, share float64) {
	c.Share = figures.Tidy(min(1, max(0, share)))
	_, differs := j.compared(k)
	switch {
	case share < sureShare || len(j.Others[k]) > 0 && !differs:
		c.Confidence = gopprof.ConfidenceUnsure
	case differs:
		c.Confidence = gopprof.ConfidenceSure
	default:
		c.Confidence = gopprof.ConfidenceLikely
	}
}

// weighCPU is weigh for what takes a share of the CPU: where that is no larger than in the
// others, by what chance reaches in so many standard errors, all that is known is that there
// is more of everything.
func (j judged) weighCPU(c *gopprof.Cause, explains float64, share figure, beyond float64) {
	j.weigh(c, gopprof.KindCPU, explains)
	if share.known && !(share.beyond() && j.apart(share) >= beyond) {
		c.Confidence = gopprof.ConfidenceUnsure
	}
}

// apart is how many standard errors a share of the CPU is above that of the others.
func (j judged) apart(share figure) float64 {
	here := j.Here[gopprof.KindCPU]
	theirs := 0.0
	for _, o := range j.Others[gopprof.KindCPU] {
		theirs += o.Shape.Looks(o.Shape.Total)
	}
	return chance.Share{Ratio: share.here, Looks: here.Looks(here.Total)}.Sigma(chance.Share{Ratio: share.typical, Looks: theirs})
}

// Standard errors that chance reaches once in a hundred reports: of a few shares, and of
// those of all functions.
const (
	chanceOfFew  = 3
	chanceOfMany = 4
)

// carries is how much of the heaviest function's excess a deeper one must carry to be named
// in its place.
const carries = 0.75

// culprit is the deepest of the service's functions that carries most of the excess, and at
// least so much of it: those above it carry it too, and say less. nil when nothing of the
// service's does.
func (j judged) culprit(k gopprof.Kind, what func(*profile.Part) int64, least float64) *profile.Part {
	most, excess := 0.0, map[*profile.Part]float64{}
	for name, p := range j.Here[k].Parts {
		if !p.Own || what(p) <= 0 {
			continue
		}
		if e := j.amount(k, of(name, what)).excess(); e > 0 {
			excess[p] = e
			most = max(most, e)
		}
	}
	var best *profile.Part
	for p, e := range excess {
		if e < carries*most || e < least {
			continue
		}
		if best == nil || p.Depth > best.Depth || p.Depth == best.Depth && p.Name < best.Name {
			best = p
		}
	}
	return best
}

// largest is the function with the most of an excess that no two functions share; nil when
// there is none.
func (j judged) largest(k gopprof.Kind, what func(*profile.Part) int64) *profile.Part {
	var best *profile.Part
	most := 0.0
	for name, p := range j.Here[k].Parts {
		e := j.amount(k, of(name, what)).excess()
		if e > most || e == most && best != nil && p.Name < best.Name {
			best, most = p, e
		}
	}
	return best
}

// name puts a function into a cause, if it is the service's.
func name(c *gopprof.Cause, p *profile.Part) {
	if p.Own {
		c.Function, c.Path = p.Name, p.Path
	}
}

// others writes how much the quiet pods have: ", 2 % in 2 quiet pods".
func (j judged) others(k gopprof.Kind, typical string) string {
	if len(j.Others[k]) == 0 {
		return ""
	}
	return ", " + typical + " in " + j.quiet(k)
}

// quiet names the others: those of before may be fewer pods, or this one.
func (j judged) quiet(k gopprof.Kind) string {
	n, earlier := int64(len(j.Others[k])), int64(0)
	for _, o := range j.Differences[k].With {
		if o.Earlier {
			earlier++
		}
	}
	switch earlier {
	case 0:
		return figures.Plural(n, "quiet pod", "quiet pods")
	case n:
		return figures.Plural(n, "quiet capture of before", "quiet captures of before")
	}
	return figures.Plural(n, "quiet capture", "quiet captures")
}

// below names what a function spends its time or memory in, where that is Go's own or a
// library's.
func below(p *profile.Part) string {
	if p.Below == "" || p.Self*2 < p.Cum || samePackage(p.Below, p.Name) {
		return ""
	}
	return ", mostly in " + short(p.Below) + ","
}

// maxName is the longest name of a function in a line, in bytes.
const maxName = 160

func short(function string) string { return profile.Printable(profile.Short(function), maxName) }

// samePackage tells whether a function is of the package of another, or that package.
func samePackage(below, function string) bool {
	pkg := profile.PackageOf(function)
	return below == pkg || profile.PackageOf(below) == pkg
}
