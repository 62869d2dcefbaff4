package siblings

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// tries is how often an agent is asked that does not answer. It starts nothing twice
	// under one ID.
	tries = 2
	// answerWithin is how long it may take each time.
	answerWithin = 3 * time.Second
	// writeWithin bounds what is written after its answer.
	writeWithin = 5 * time.Second
	// writeAgain is how long the records are left alone that were away.
	writeAgain = time.Second
	// maxSeconds bounds the profile that an agent can make us ask others for.
	maxSeconds = 600
)

// Asked has siblings captured beside a firing that dispatch lets go. When it returns, the
// incident's record says who; the agents are asked meanwhile. It takes no longer than ctx,
// and called again for the same capture it changes nothing. When the record cannot be
// written, the hot capture is made without siblings.
func (k *Keeper) Asked(ctx context.Context, f gopprof.Firing, d gopprof.Decision) {
	kinds := kindsOf(f)
	if !d.Go || k.cfg.PerCapture == 0 || !comparable(f) || len(kinds) == 0 || !k.first(f) {
		return
	}
	p := k.plan(f, kinds)
	if err := k.change(ctx, d.Incident, true, func(r *record) bool { return r.add(p) }); err != nil {
		k.metrics.unrecorded.Inc()
		k.log.Warn("siblings not written down, the capture is made without", zap.String("incident", d.Incident), zap.String("capture", f.Capture), zap.Error(err))
	}
	// Also after an error: it may be written all the same, and is waited for then.
	k.asking.Go(func() { k.askFor(context.WithoutCancel(ctx), d.Incident, f) })
}

// first tells whether a firing has not been told of here in the last moments, in which its
// siblings may begin: an agent that repeats it must not have others asked again and again.
func (k *Keeper) first(f gopprof.Firing) bool {
	now, key := k.deps.Now(), f.Target.Cluster+"/"+f.Target.Node+"/"+f.Capture
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.begun, func(_ string, at time.Time) bool { return now.Sub(at).Abs() >= k.cfg.Wait })
	if _, known := k.begun[key]; known {
		return false
	}
	k.begun[key] = now
	return true
}

// comparable tells whether a firing says what its capture could be compared with.
func comparable(f gopprof.Firing) bool {
	return f.Threshold > 0 && f.CPUSeconds >= 0 && f.CPUSeconds <= maxSeconds
}

// kindsOf are the kinds to be asked for, each once.
func kindsOf(f gopprof.Firing) (out []gopprof.Kind) {
	for _, kind := range f.Kinds {
		if slices.Contains(gopprof.Kinds(), kind) && kind != gopprof.KindTrace && !slices.Contains(out, kind) {
			out = append(out, kind)
		}
	}
	return out
}

func (k *Keeper) plan(f gopprof.Firing, kinds []gopprof.Kind) plan {
	now := k.deps.Now().UTC()
	fleet, chosen := choose(question{
		firing: f, nodes: k.deps.Nodes.Nodes(), now: now, staleAfter: k.deps.Nodes.StaleAfter(),
		paused: k.deps.Paused(), most: k.cfg.PerCapture,
	})
	p := plan{firing: f, kinds: kinds, fleet: fleet, now: now, until: now.Add(length(kinds, f.CPUSeconds) + k.cfg.Wait), most: k.cfg.PerCapture}
	for _, t := range chosen {
		p.fresh = append(p.fresh, asked{
			Sibling: gopprof.Sibling{Capture: k.deps.NewID(), Target: named(t), Kinds: kinds, State: gopprof.SiblingAsked},
			For:     f.Capture, At: now, Until: now.Add(k.cfg.Wait), CPUSeconds: f.CPUSeconds,
		})
	}
	return p
}

// named is a target as reports name it: what tells it apart from others, and its build.
func named(t gopprof.Target) gopprof.Target {
	return gopprof.Target{
		Cluster: t.Cluster, Node: t.Node, Namespace: t.Namespace, Workload: t.Workload, Pod: t.Pod, PodUID: t.PodUID,
		Container: t.Container, Image: t.Image, Build: t.Build,
	}
}

// length is how long the kinds take: those that are not timed take moments.
func length(kinds []gopprof.Kind, cpuSeconds float64) time.Duration {
	if !slices.ContainsFunc(kinds, gopprof.Kind.Timed) {
		return 0
	}
	return seconds(cpuSeconds)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// askFor asks the agents of the siblings that were written down for a hot capture, all at
// once, and returns when they have answered.
func (k *Keeper) askFor(ctx context.Context, incident string, f gopprof.Firing) {
	read, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	r, _, err := k.read(read, incident)
	if err != nil {
		if !errors.Is(err, bus.ErrNoKey) {
			k.log.Warn("siblings not asked", zap.String("incident", incident), zap.String("capture", f.Capture), zap.Error(err))
		}
		return
	}
	for _, a := range r.Asked {
		if a.For == f.Capture && a.State == gopprof.SiblingAsked && k.deps.Now().Before(a.Until) {
			k.asking.Go(func() { k.ask(ctx, incident, a) })
		}
	}
}

// ask asks one agent, and where that refuses the one that is asked instead, and so on.
func (k *Keeper) ask(ctx context.Context, incident string, a asked) {
	for next := &a; next != nil; {
		next = k.askOne(ctx, incident, *next)
	}
}

// askOne asks one agent, and writes down at once when there will be no capture: nobody waits
// for it then. It returns who is asked instead, or nil.
func (k *Keeper) askOne(ctx context.Context, incident string, a asked) *asked {
	refused := k.request(ctx, incident, a)
	k.metrics.asked.WithLabelValues(string(refused.reason)).Inc()
	log := k.log.With(zap.String("incident", incident), zap.String("capture", a.Capture), zap.String("node", a.Target.Node),
		zap.String("namespace", a.Target.Namespace), zap.String("pod", a.Target.Pod))
	if refused.reason == "" {
		log.Info("sibling asked", zap.String("beside", a.For))
		return nil
	}
	log.Info("sibling refused", zap.String("beside", a.For), zap.String("reason", string(refused.reason)), zap.String("detail", refused.detail))
	next, err := k.writeRefusal(ctx, incident, a, refused)
	if err != nil { // its hot capture waits to the end of its time
		log.Warn("refusal of a sibling not written", zap.Error(err))
	}
	return next
}

// writeRefusal gives a sibling's place back before another one is asked, and tries again when
// the records are away for a moment: what was not confirmed may be written.
func (k *Keeper) writeRefusal(ctx context.Context, incident string, a asked, refused ending) (next *asked, err error) {
	for try := range tries {
		if try > 0 {
			time.Sleep(writeAgain)
		}
		within, cancel := context.WithTimeout(ctx, writeWithin)
		freed := k.deps.Budget.Ended(within, a.Capture)
		next, err = k.end(within, incident, gopprof.Capture{ID: a.Capture, Target: a.Target}, refused)
		cancel()
		if err = errors.Join(freed, err); err == nil {
			break
		}
	}
	return next, err
}

// request puts the request to the agent and returns why there will be no capture; without a
// reason there will be one. Where the budget has no place for this pod it has none for another,
// and who did not answer may have begun: then nobody is asked instead.
func (k *Keeper) request(ctx context.Context, incident string, a asked) ending {
	refused := ending{state: gopprof.SiblingFailed}
	if refused.reason, refused.detail = k.place(ctx, incident, a); refused.reason != "" {
		return refused
	}
	var reply gopprof.CaptureReply
	var err error
	unheard := false
	for range tries {
		if reply, err = k.requestOnce(ctx, incident, a); err == nil || errors.Is(err, bus.ErrNoAgent) || errors.Is(err, bus.ErrInvalid) {
			break
		}
		unheard = true
	}
	refused.reason, refused.detail = dispatch.Refusal(a.Target.Node, tries*answerWithin, reply, err)
	refused.replace = err == nil || !unheard
	return refused
}

func (k *Keeper) place(ctx context.Context, incident string, a asked) (gopprof.Reason, string) {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	reason, err := k.deps.Budget.Sibling(ctx, a.Capture, incident)
	if err != nil {
		return reason, err.Error()
	}
	return reason, ""
}

func (k *Keeper) requestOnce(ctx context.Context, incident string, a asked) (gopprof.CaptureReply, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	t := a.Target
	return k.deps.Agents.RequestCapture(ctx, t.Cluster, t.Node, gopprof.CaptureRequest{
		Capture: a.Capture, Incident: incident, Kind: gopprof.TriggerSibling,
		Namespace: t.Namespace, Pod: t.Pod, PodUID: t.PodUID, Container: t.Container,
		Kinds: a.Kinds, CPUSeconds: a.CPUSeconds, Deadline: a.Until,
	})
}
