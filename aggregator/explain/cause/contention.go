package cause

import (
	"fmt"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// contention: waiting for each other. Who waits is put to sleep and woken: most of what that
// costs is on the scheduler's stacks, which hold no code of the service. The goroutines that
// wait tell where, if they were seen; else the stacks on which CPU goes into locks.
func contention(j judged) (c gopprof.Cause, holds bool) {
	if !j.judgesCPU() {
		return c, false
	}
	all := classes(profile.ClassLock, profile.ClassChan, profile.ClassSpin, profile.ClassSched)
	waiting := j.share(gopprof.KindCPU, classes(profile.ClassLock, profile.ClassChan, profile.ClassSpin))
	share := j.share(gopprof.KindCPU, all)
	part := j.explained(gopprof.KindCPU, j.amount(gopprof.KindCPU, all))
	if waiting.here < waitLeast || share.here < waitShare || part < waitShare || !waiting.beyond() {
		return c, false
	}
	j.weigh(&c, gopprof.KindCPU, part, waitShare)
	what := j.contended()
	c.Line = fmt.Sprintf("%s %s of the CPU%s", what.name, figures.Percent(waiting.here), j.others(gopprof.KindCPU, figures.Percent(waiting.typical)))
	j.where(&c, what)
	c.Proof = append(c.Proof, waiting.proof("CPU in locks, channels and spinning", "ratio"),
		share.proof("CPU in those and in scheduling", "ratio"))
	return c, true
}

// where names the function in which it waits.
func (j judged) where(c *gopprof.Cause, what contended) {
	at, n := j.queue(what)
	if at == nil {
		at = j.culprit(gopprof.KindCPU, func(p *profile.Part) int64 { return p.Classes[what.class] })
	}
	if at == nil {
		return
	}
	name(c, at)
	c.Line += ", in " + short(at.Name)
	if n > 1 {
		c.Line += fmt.Sprintf(", where %d goroutines wait", n)
		c.Proof = append(c.Proof, j.amount(gopprof.KindGoroutine, of(at.Name, self)).proof("goroutines that wait there", "count"))
	}
}

// contended is what is waited for.
type contended struct {
	name  string
	class profile.Class
	waits map[profile.Wait]bool // of goroutines
}

// contended finds what is waited for most.
func (j judged) contended() contended {
	s := j.Here[gopprof.KindCPU]
	lock, channel, spin := s.Classes[profile.ClassLock], s.Classes[profile.ClassChan], s.Classes[profile.ClassSpin]
	switch max(lock, channel, spin) {
	case lock:
		return contended{"taking and waiting for locks uses", profile.ClassLock, map[profile.Wait]bool{profile.WaitLock: true}}
	case channel:
		return contended{"sending and receiving on channels uses", profile.ClassChan,
			map[profile.Wait]bool{profile.WaitSend: true, profile.WaitReceive: true, profile.WaitSelect: true}}
	}
	return contended{"giving up the CPU and taking it again uses", profile.ClassSpin, nil}
}

// queue finds the function in which most goroutines wait for what is contended.
func (j judged) queue(what contended) (at *profile.Part, n int64) {
	s, ok := j.usable(gopprof.KindGoroutine)
	if !ok {
		return nil, 0
	}
	for _, p := range s.Parts {
		if p.Own && what.waits[p.Wait] && (p.Self > n || p.Self == n && at != nil && p.Name < at.Name) {
			at, n = p, p.Self
		}
	}
	return at, n
}
