package command

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/client"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
)

const (
	// completeWithin bounds what somebody waits for after pressing the tabulator.
	completeWithin = 3 * time.Second
	// completeMost is how many reports are proposed.
	completeMost = 30
)

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

func fixed(words ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

func files(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

func (c *commands) contexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return c.options().Contexts(), cobra.ShellCompDirectiveNoFileComp
}

// asked returns a completion that asks the server. What fails proposes nothing.
func (c *commands) asked(ask func(ctx context.Context, cl *client.Client) []string, otherwise cobra.ShellCompDirective) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		cl, err := c.client()
		if err != nil || len(args) > 0 {
			return nil, otherwise
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		var words []string
		for _, word := range ask(ctx, cl) {
			words = append(words, proposal(word))
		}
		return words, otherwise
	}
}

// proposal cleans a word and its description, which a tabulator keeps apart.
func proposal(s string) string {
	word, description, ok := strings.Cut(s, "\t")
	if !ok {
		return show.Clean(word)
	}
	return show.Clean(word) + "\t" + show.Clip(description, 70)
}

func (c *commands) namespaces(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	c.namespace, c.all = "", true
	return c.asked(func(ctx context.Context, cl *client.Client) []string {
		found := map[string]bool{}
		list, _ := cl.Targets(ctx, nil)
		for _, n := range list.Nodes {
			for _, t := range n.Targets {
				found[t.Target.Namespace] = true
			}
		}
		return slices.Sorted(maps.Keys(found))
	}, cobra.ShellCompDirectiveNoFileComp)(cmd, nil, word)
}

// targetWords proposes what capture takes.
func targetWords(ctx context.Context, cl *client.Client) []string {
	found := map[string]bool{}
	list, _ := cl.Targets(ctx, namespaceQuery(cl.Namespace))
	for _, n := range list.Nodes {
		for _, t := range n.Targets {
			found["pod/"+t.Target.Pod] = true
			found[workloadWord(t.Target.Workload)] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func reportWords(ctx context.Context, cl *client.Client) []string {
	var words []string
	list, _ := cl.Reports(ctx, namespaceQuery(cl.Namespace), completeMost)
	for _, r := range list.Reports {
		words = append(words, r.ID+"\t"+r.Pod+": "+r.Summary)
	}
	return words
}

func operationWords(ctx context.Context, cl *client.Client) []string {
	var words []string
	list, _ := cl.Operations(ctx)
	for _, o := range list {
		words = append(words, o.ID+"\t"+show.Asked(o.Asked)+": "+show.Progress(o))
	}
	return words
}
