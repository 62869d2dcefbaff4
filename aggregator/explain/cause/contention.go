package cause

import (
	"fmt"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// contention: waiting for each other. Who waits is put to sleep and woken: most of what that
// costs is on the scheduler's stacks, which hold no code of the service. The goroutines that
// wait tell where, if they were seen; else the stacks on which CPU goes into locks. Without
// quiet pods beside it, scheduling says little: every service that is woken often does it.
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
	j.weighCPU(&c, part, waiting, chanceOfFew)
	if !waiting.known && waiting.here < beyondQuiet {
		c.Confidence = gopprof.ConfidenceUnsure
	}
	what := j.contended()
	c.Line = fmt.Sprintf("%s %s of the CPU%s", what.name, figures.Percent(waiting.here), j.others(gopprof.KindCPU, figures.Percent(waiting.typical)))
	j.where(&c, what)
	c.Proof = append(c.Proof, waiting.proof("CPU in locks, channels and spinning", "ratio"),
		share.proof("CPU in those and in scheduling", "ratio"))
	return c, true
}

// where names the function in which it waits, and who held the locks.
func (j judged) where(c *gopprof.Cause, what contended) {
	at := j.queue()
	if at == nil {
		at = j.largest(gopprof.KindCPU, what.spent)
	}
	if at == nil {
		return
	}
	name(c, at)
	c.Line += ", in " + short(at.Name)
	if n := blocked(at); n > 0 {
		c.Line += fmt.Sprintf(", where %d goroutines wait for %s", n, at.Wait)
		c.Proof = append(c.Proof, j.amount(gopprof.KindGoroutine, of(at.Name, blocked)).proof("goroutines that wait there", "count"))
	}
	if what.class == profile.ClassLock || at.Wait == profile.WaitLock {
		j.held(c)
	}
}

// held tells who held the locks, of a program that keeps a mutex profile.
func (j judged) held(c *gopprof.Cause) {
	s, ok := j.usable(gopprof.KindMutex)
	if !ok {
		return
	}
	p := j.largest(gopprof.KindMutex, selfOwn)
	if p == nil {
		return
	}
	share := figure{here: ratio(float64(p.Self), float64(s.Total))}
	if share.here < sureShare {
		return
	}
	c.Line += fmt.Sprintf("; %s of the waiting since the program started was for locks that %s released", figures.Percent(share.here), short(p.Name))
	c.Proof = append(c.Proof, share.proof("waiting for locks that "+short(p.Name)+" released", "ratio"))
}

// blocked is how many goroutines in a function of the service wait for others to go on: who
// waits to receive may have nothing to do.
func blocked(p *profile.Part) int64 {
	if p.Own && (p.Wait == profile.WaitLock || p.Wait == profile.WaitSend) {
		return p.Waiting
	}
	return 0
}

// contended is what is waited for.
type contended struct {
	name  string
	class profile.Class
}

// spent is what a function of the service spends on it.
func (w contended) spent(p *profile.Part) int64 {
	if p.Own {
		return p.Classes[w.class]
	}
	return 0
}

// contended finds what is waited for most.
func (j judged) contended() contended {
	s := j.Here[gopprof.KindCPU]
	lock, channel, spin := s.Classes[profile.ClassLock], s.Classes[profile.ClassChan], s.Classes[profile.ClassSpin]
	switch max(lock, channel, spin) {
	case lock:
		return contended{"taking and waiting for locks uses", profile.ClassLock}
	case channel:
		return contended{"sending and receiving on channels uses", profile.ClassChan}
	}
	return contended{"giving up the CPU and taking it again uses", profile.ClassSpin}
}

// queue finds the function in which most more goroutines than in quiet pods are blocked, nil
// when they are few.
func (j judged) queue() *profile.Part {
	if _, ok := j.usable(gopprof.KindGoroutine); !ok {
		return nil
	}
	at := j.largest(gopprof.KindGoroutine, blocked)
	if at == nil || j.amount(gopprof.KindGoroutine, of(at.Name, blocked)).excess() < queueLeast {
		return nil
	}
	return at
}
