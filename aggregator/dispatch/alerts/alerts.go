// Package alerts reads what an alerting system says, and tells what is to be captured
// because of it.
//
// One alert of a notification enters; the request for its captures leaves, or the reason why
// nothing is captured. It is pure: it asks nobody and keeps nothing. Everything in an alert
// is hostile: what of it goes on is cleaned and bounded here. It must never ask for anything
// because of an alert that gopprof sent itself: a report would cause the next one.
package alerts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/matcher"
)

// Reader reads alerts. It is safe for concurrent use.
type Reader struct {
	cfg   Config
	rules []rule
}

type rule struct {
	matchers []matcher.Matcher
	kinds    []gopprof.Kind
}

// New returns a Reader. The configuration must have passed Check.
func New(c Config) *Reader {
	r := &Reader{cfg: c}
	for _, configured := range c.Rules {
		one := rule{kinds: configured.Kinds}
		for _, text := range configured.Matchers {
			if m, err := matcher.Parse(text); err == nil {
				one.matchers = append(one.matchers, m)
			}
		}
		r.rules = append(r.rules, one)
	}
	return r
}

// MostAtOnce is how many alerts of one notification are acted on.
func (r *Reader) MostAtOnce() int { return r.cfg.MaxPerNotification }

// Asks returns what is to be captured because of a firing alert that came by a receiver of
// the alerting system. The error is a *gopprof.Error: own_alert, no_target, or bad_input.
func (r *Reader) Asks(receiver string, a api.NotifiedAlert) (gopprof.Manual, error) {
	if gopprof.OwnAlert(a.Labels) {
		return gopprof.Manual{}, &gopprof.Error{Reason: gopprof.ReasonOwnAlert, Detail: "gopprof sent this alert itself, because of a report"}
	}
	if y := a.StartsAt.UTC().Year(); y < 1 || y > 9999 { // RFC 3339 has no others, in whatever zone it was
		return gopprof.Manual{}, bad("startsAt: the year %d", y)
	}
	m, err := r.meant(a.Labels)
	if err != nil {
		return gopprof.Manual{}, err
	}
	if m.Kinds, err = r.kinds(a.Labels); err != nil {
		return gopprof.Manual{}, err
	}
	m.Alert, m.Key = clean(receiver, a), key(m.Namespace, a)
	return m, nil
}

// kinds are those that a label names, else the first rule's that matches, else the default.
func (r *Reader) kinds(labels map[string]string) ([]gopprof.Kind, error) {
	if named := labels[r.cfg.Labels.Kinds]; named != "" && r.cfg.Labels.Kinds != "" {
		return readKinds(r.cfg.Labels.Kinds, named)
	}
	for _, one := range r.rules {
		if matcher.All(one.matchers, labels) {
			return one.kinds, nil
		}
	}
	return r.cfg.Kinds, nil
}

func readKinds(label, text string) ([]gopprof.Kind, error) {
	var kinds []gopprof.Kind
	for name := range strings.SplitSeq(text, ",") {
		k, err := gopprof.ParseKind(strings.TrimSpace(name))
		switch {
		case err != nil:
			return nil, bad("label %s: %.64q is no kind of profile: cpu, heap, allocs, goroutine, mutex, block or threadcreate, separated by commas", label, name)
		case k == gopprof.KindTrace:
			return nil, bad("label %s: a trace is taken by hand only", label)
		case !slices.Contains(kinds, k):
			kinds = append(kinds, k)
		}
	}
	return kinds, nil
}

// key makes one of all notifications about an alert: who may profile in one namespace cannot
// use up an alert of another. Its cluster may be the caller's and is not known here.
func key(namespace string, a api.NotifiedAlert) string {
	sum := sha256.Sum256([]byte(namespace + "\x00" + a.Fingerprint + "\x00" + a.StartsAt.UTC().Format(time.RFC3339Nano)))
	return hex.EncodeToString(sum[:])
}

func bad(format string, args ...any) error {
	return &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: fmt.Sprintf(format, args...)}
}
