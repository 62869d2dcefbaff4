package serve

import (
	"context"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// nobodyTold is the answer of a server without receivers.
var nobodyTold = &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "nobody is told of reports here"}

// Silences returns those that hold in the caller's namespaces.
func (s scope) Silences(ctx context.Context) ([]api.Silence, error) {
	look, out := reachOf(ctx, auth.View), []api.Silence{}
	if s.deps.Telling == nil {
		return out, nil
	}
	all, err := s.deps.Telling.Silences(ctx)
	if err != nil {
		return nil, err
	}
	for _, silence := range all {
		ok, err := look.covers(s.placeOfSilence(ctx, silence))
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, silence)
		}
	}
	return out, nil
}

// placeOfSilence is where a silence holds; one of every cluster holds in the caller's, too.
func (s scope) placeOfSilence(ctx context.Context, silence api.Silence) place {
	if silence.Cluster == "" {
		return place{auth.From(ctx).Cluster, silence.Namespace}
	}
	return place{silence.Cluster, silence.Namespace}
}

// Silence makes one, in the caller's name, of a workload that the caller may profile. Who has
// rights in one cluster silences there alone.
func (s scope) Silence(ctx context.Context, silence api.Silence) (api.Silence, error) {
	auth.About(ctx, silence.Namespace, silence.Workload)
	if s.deps.Telling == nil {
		return silence, nobodyTold
	}
	if own := auth.From(ctx).Cluster; own != "" && silence.Cluster == "" {
		silence.Cluster = own
	}
	if err := must(ctx, auth.Profile, place{silence.Cluster, silence.Namespace}); err != nil {
		return silence, err
	}
	silence.Who = profile.Printable(auth.From(ctx).Name, longestWho)
	silence.Why = profile.Printable(silence.Why, longestWhy)
	return s.deps.Telling.Silence(ctx, silence)
}

// longestWhy bounds the reason of a silence, in bytes.
const longestWhy = 500

// EndSilence ends one that the caller may see and may have made.
func (s scope) EndSilence(ctx context.Context, id string) (api.Silence, error) {
	all, err := s.Silences(ctx)
	if err != nil {
		return api.Silence{}, err
	}
	for _, silence := range all {
		if silence.ID != id {
			continue
		}
		auth.About(ctx, silence.Namespace, id)
		at := s.placeOfSilence(ctx, silence)
		if own := auth.From(ctx).Cluster; own != "" && silence.Cluster == "" {
			return silence, &gopprof.Error{Reason: gopprof.ReasonForbidden, Detail: "this silence is of all clusters, and you may do this in cluster \"" + own + "\" alone"}
		}
		if err := must(ctx, auth.Profile, at); err != nil {
			return silence, err
		}
		return silence, s.deps.Telling.EndSilence(ctx, id)
	}
	return api.Silence{}, noSuch("silence")
}

// TestReceiver sends a test message: for who controls all of this aggregator.
func (s scope) TestReceiver(ctx context.Context, name string) (api.ReceiverTest, error) {
	auth.About(ctx, "", name)
	if err := must(ctx, auth.Control, place{auth.From(ctx).Cluster, auth.All}); err != nil {
		return api.ReceiverTest{}, err
	}
	if s.deps.Telling == nil {
		return api.ReceiverTest{}, nobodyTold
	}
	return s.deps.Telling.TestReceiver(ctx, name, profile.Printable(auth.From(ctx).Name, longestWho))
}
