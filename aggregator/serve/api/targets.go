package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

type targetsInput struct {
	Cluster   string `query:"cluster" maxLength:"253"`
	Node      string `query:"node" maxLength:"253"`
	Namespace string `query:"namespace" maxLength:"253"`
}

type targetsOutput struct{ Body api.TargetList }

func (h handlers) registerTargets(a huma.API) {
	huma.Register(a, operation(a, huma.Operation{
		OperationID: "list-targets", Method: http.MethodGet, Path: api.PathTargets,
		Summary: "List targets with what was seen of them last and why they did or did not fire",
	}), h.targets)
}

func (h handlers) targets(ctx context.Context, in *targetsInput) (*targetsOutput, error) {
	out := &targetsOutput{Body: api.TargetList{Nodes: []api.Node{}}}
	nodes, err := h.Nodes(ctx)
	if err != nil {
		return nil, h.fail(ctx, "listing targets", err)
	}
	for _, n := range nodes {
		if (in.Cluster != "" && n.Cluster != in.Cluster) || (in.Node != "" && n.Node != in.Node) {
			continue
		}
		node := api.Node{
			Cluster: n.Cluster, Node: n.Node, At: n.At, Version: n.Version, Stale: h.Now().Sub(n.At) > h.StaleAfter, Paused: n.Paused,
			Targets: []gopprof.TargetState{},
		}
		for _, t := range n.Targets {
			if in.Namespace == "" || t.Target.Namespace == in.Namespace {
				node.Targets = append(node.Targets, t)
			}
		}
		for _, r := range n.Refused {
			if in.Namespace == "" || r.Target.Namespace == in.Namespace {
				node.Refused = append(node.Refused, r)
			}
		}
		out.Body.Nodes = append(out.Body.Nodes, node)
	}
	return out, nil
}
