package app

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/aggregator/explain"
	"github.com/gopprof/gopprof/aggregator/receive"
	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// The stages as the pipeline needs them.
type (
	storer interface {
		Committed(ctx context.Context, capture gopprof.Capture) (gopprof.Report, bool, error)
		PutProfile(ctx context.Context, capture gopprof.Capture, profile gopprof.Profile) (key string, err error)
		PutDrawing(ctx context.Context, capture gopprof.Capture, kind gopprof.Kind, svg []byte) (key string, err error)
		PutPicture(ctx context.Context, capture gopprof.Capture, svg []byte) (key string, err error)
		Commit(ctx context.Context, report gopprof.Report) error
	}
	drawer interface {
		Draw(ctx context.Context, kind gopprof.Kind, data []byte) (svg []byte, err error)
	}
	announcer interface {
		Announce(ctx context.Context, report gopprof.Report) error
	}
	owners interface {
		Owner(ctx context.Context, target gopprof.Target) (owner string, links map[string]string)
	}
	comparer interface {
		// Ready returns how much longer a capture should wait for those that it is compared
		// with; 0 is no longer.
		Ready(ctx context.Context, capture gopprof.Capture) time.Duration
		Around(ctx context.Context, capture gopprof.Capture) explain.Around
	}
	closer interface {
		Stored(ctx context.Context, report gopprof.Report) error
		Failed(ctx context.Context, capture gopprof.Capture) error
		GivenUp(ctx context.Context, capture gopprof.Capture, reason gopprof.Reason, detail string) error
	}
)

// reduced holds files that are drawn in the place of a profile's own.
type reduced map[gopprof.Kind][]byte

// pipeline makes a report out of a capture whose bytes have arrived.
type pipeline struct {
	store    storer
	compare  comparer // nil: with nobody
	explain  func(capture gopprof.Capture, around explain.Around) (gopprof.Explanation, reduced)
	picture  func(capture gopprof.Capture) (svg []byte, ok bool) // of the evidence; nil: none
	draw     drawer
	announce announcer
	dispatch closer
	owners   owners // nil: the owner is what the agent says

	page func(id string) string // the report's page, as a person outside would open it
	now  func() time.Time
}

// explaining makes an explanation, and the files to be drawn while the profiles are in memory.
func explaining(gate *profile.Gate) func(gopprof.Capture, explain.Around) (gopprof.Explanation, reduced) {
	return func(c gopprof.Capture, around explain.Around) (gopprof.Explanation, reduced) {
		limits, leave := gate.Through(profile.DefaultLimits())
		defer leave()
		less, held := reduced{}, c.SizeBytes()
		return explain.Reading(c, around, limits, func(k gopprof.Kind, p *profile.Profile) { less[k] = draw.Reduced(k, p, held) }), less
	}
}

// Resume finishes a capture whose report was committed before: it is announced again,
// never made again. One whose siblings are still to come has to wait for them: a report is
// made once.
func (p *pipeline) Resume(ctx context.Context, capture gopprof.Capture) (bool, error) {
	report, committed, err := p.store.Committed(ctx, capture)
	if err != nil {
		return false, stored(err)
	}
	if !committed {
		return false, p.wait(ctx, capture)
	}
	return true, p.tell(ctx, report)
}

// lookAgain is how long a capture that waits is left alone.
const lookAgain = time.Second

// wait returns when a capture is to come again, or nil when its report can be made now.
func (p *pipeline) wait(ctx context.Context, capture gopprof.Capture) error {
	if p.compare == nil || len(capture.Profiles) == 0 {
		return nil
	}
	if left := p.compare.Ready(ctx, capture); left > 0 {
		return receive.Later(min(left, lookAgain))
	}
	return nil
}

// Handle is contract 3 between the bytes and the acknowledgement: profiles → drawings and
// picture → report.json → announce.
func (p *pipeline) Handle(ctx context.Context, capture gopprof.Capture) error {
	if len(capture.Profiles) == 0 { // an attempt that came to nothing
		return p.dispatch.Failed(ctx, capture)
	}
	report, err := p.makeReport(ctx, capture)
	if err != nil {
		return err
	}
	return p.tell(ctx, report)
}

// GiveUp closes what waited for a capture that goes to the dead letters.
func (p *pipeline) GiveUp(ctx context.Context, capture gopprof.Capture, reason gopprof.Reason, detail string) error {
	return p.dispatch.GivenUp(ctx, capture, reason, detail)
}

// tell announces a report and closes what waited for it. A report that can never be
// announced is stored all the same: what waited is closed before the capture is given up.
func (p *pipeline) tell(ctx context.Context, report gopprof.Report) error {
	announced := lasting(p.announce.Announce(ctx, report))
	if announced != nil && !receive.Poisoned(announced) {
		return announced
	}
	if err := p.dispatch.Stored(ctx, report); err != nil {
		return err
	}
	return announced
}

func (p *pipeline) makeReport(ctx context.Context, capture gopprof.Capture) (gopprof.Report, error) {
	var links map[string]string
	if p.owners != nil {
		capture.Target.Owner, links = p.owners.Owner(ctx, capture.Target)
	}
	files, err := p.putProfiles(ctx, capture)
	if err != nil {
		return gopprof.Report{}, err
	}
	around := p.around(ctx, capture)
	explanation, less := p.explain(capture, around)
	if err := p.putDrawings(ctx, capture, explanation, less, files); err != nil {
		return gopprof.Report{}, err
	}
	picture, err := p.putPicture(ctx, capture)
	if err != nil {
		return gopprof.Report{}, err
	}
	report := gopprof.Report{
		Version: gopprof.ReportVersion, ID: capture.ID, Capture: capture, MadeAt: p.now().UTC(),
		Explanation: explanation, Files: files, Picture: picture, Siblings: around.Siblings, Fleet: around.Fleet,
		Page: p.page(capture.ID), Links: links,
	}
	err = p.store.Commit(ctx, report)
	if errors.Is(err, store.ErrExists) { // another worker was faster: its report is the one
		report, found, err := p.store.Committed(ctx, capture)
		if err == nil && !found {
			err = errVanished
		}
		return report, stored(err)
	}
	return report, stored(err)
}

// around is what is known beside the capture.
func (p *pipeline) around(ctx context.Context, capture gopprof.Capture) explain.Around {
	if p.compare == nil {
		return explain.Around{}
	}
	return p.compare.Around(ctx, capture)
}

var errVanished = errors.New("the report was committed by another worker and is gone")

// lasting marks what the store or NATS will never take: trying again would not end.
func lasting(err error) error {
	switch {
	case errors.Is(err, store.ErrDifferent), errors.Is(err, bus.ErrDifferent):
		return receive.Poison(gopprof.ReasonBytesWrong, err)
	case errors.Is(err, bus.ErrTooLarge):
		return receive.Poison(gopprof.ReasonTooLarge, err)
	case errors.Is(err, store.ErrBroken): // a report.json that nobody can read stands in its place
		return receive.Poison(gopprof.ReasonStoreFailed, err)
	case errors.Is(err, store.ErrInvalid), errors.Is(err, bus.ErrInvalid):
		return receive.Poison(gopprof.ReasonBadInput, err)
	}
	return err
}

// stored is what the store says: nil, what lasts, or what is named and tried again.
func stored(err error) error {
	if err = lasting(err); err == nil || receive.Poisoned(err) {
		return err
	}
	return storeFailed(err)
}

func storeFailed(err error) error { return &gopprof.Error{Reason: gopprof.ReasonStoreFailed, Err: err} }

func (p *pipeline) putProfiles(ctx context.Context, capture gopprof.Capture) ([]gopprof.File, error) {
	files := make([]gopprof.File, 0, len(capture.Profiles))
	for _, profile := range capture.Profiles {
		key, err := p.store.PutProfile(ctx, capture, profile)
		if err != nil {
			return nil, stored(err)
		}
		files = append(files, gopprof.File{Kind: profile.Kind, Profile: key})
	}
	return files, nil
}

// largeBytes is the size from which a file's memory is worth giving back to the machine.
const largeBytes = 1 << 20

// putDrawings draws what can be drawn, of less where there is less, and lets go of the bytes of
// what it drew. A profile without a drawing does not hold up its report: the file says why there
// is none.
func (p *pipeline) putDrawings(ctx context.Context, capture gopprof.Capture, said gopprof.Explanation, less reduced, files []gopprof.File) error {
	for i, profile := range capture.Profiles {
		if profile.Kind == gopprof.KindTrace {
			continue
		}
		if files[i].Reason, files[i].Detail = unusable(said, profile.Kind); files[i].Reason != "" {
			continue
		}
		large, data := len(profile.Bytes) > largeBytes, profile.Bytes
		if file := less[profile.Kind]; file != nil {
			data = file
		}
		svg, err := p.draw.Draw(ctx, profile.Kind, data)
		profile.Bytes, capture.Profiles[i].Bytes = nil, nil // stored, and of no more use
		if large {
			debug.FreeOSMemory() // the next may be costly to draw, in another process
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			files[i].Reason, files[i].Detail = gopprof.ReasonDrawFailed, err.Error()
			continue
		}
		if files[i].Drawing, err = p.store.PutDrawing(ctx, capture, profile.Kind, svg); err != nil {
			return storeFailed(err)
		}
	}
	return nil
}

// putPicture stores the picture of the evidence, where there is anything to show. Another one
// that is stored already is no fault of the capture's, nor is another drawing: its report is
// committed then, and is found when the capture comes again.
func (p *pipeline) putPicture(ctx context.Context, capture gopprof.Capture) (key string, err error) {
	if p.picture == nil {
		return "", nil
	}
	svg, ok := p.picture(capture)
	if !ok {
		return "", nil
	}
	if key, err = p.store.PutPicture(ctx, capture, svg); err != nil {
		return "", storeFailed(err)
	}
	return key, nil
}

// unusable returns why there is nothing to draw of a kind, as the explanation says it.
func unusable(said gopprof.Explanation, k gopprof.Kind) (gopprof.Reason, string) {
	for _, top := range said.Profiles {
		if top.Kind == k {
			return top.Reason, top.Detail
		}
	}
	return "", ""
}
