package command

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// flags are those of every command.
func (c *commands) flags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&c.connect.Server, "server", "", "`URL` of an aggregator, past Kubernetes (GOPPROF_SERVER)")
	f.StringVar(&c.connect.TokenFile, "token-file", "", "`file` with the token for --server (or the token itself in GOPPROF_TOKEN)")
	f.StringVar(&c.connect.CAFile, "ca-file", "", "`file` with PEM certificates that may sign that of --server")
	f.StringVar(&c.connect.Kubeconfig, "kubeconfig", "", "kubeconfig `file` (KUBECONFIG)")
	f.StringVar(&c.connect.Context, "context", "", "`context` of the kubeconfig")
	f.StringVar(&c.connect.As, "as", "", "`user` to impersonate, with the rights of the kubeconfig")
	f.StringVarP(&c.namespace, "namespace", "n", "", "`namespace`; the kubeconfig's when left out, all of a --server")
	f.BoolVarP(&c.all, "all-namespaces", "A", false, "all namespaces")
	for _, name := range []string{"token-file", "ca-file", "kubeconfig"} {
		_ = root.RegisterFlagCompletionFunc(name, files)
	}
	_ = root.RegisterFlagCompletionFunc("context", c.contexts)
	_ = root.RegisterFlagCompletionFunc("namespace", c.namespaces)
}

// The formats of -o.
const (
	outputTable = ""
	outputWide  = "wide"
	outputJSON  = "json"
	outputYAML  = "yaml"
)

func formats() []string { return []string{outputJSON, outputYAML, outputWide} }

func (c *commands) outputFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&c.output, "output", "o", "", "`format`: json, yaml or wide")
	_ = cmd.RegisterFlagCompletionFunc("output", fixed(formats()...))
}

// checkOutput refuses what is no format.
func (c *commands) checkOutput() error {
	if c.output != outputTable && !slices.Contains(formats(), c.output) {
		return usage("-o %s: is none of %s", c.output, strings.Join(formats(), ", "))
	}
	return nil
}

// print writes a value as JSON or YAML, if that was asked for, and else calls people.
func (c *commands) print(v any, people func(io.Writer) error) error {
	switch c.output {
	case outputJSON:
		return show.JSON(c.Out, v)
	case outputYAML:
		return show.YAML(c.Out, v)
	}
	return people(c.Out)
}

func (c *commands) view(namespace string) show.View {
	return show.View{Now: c.Now(), Wide: c.output == outputWide, Namespaces: namespace == ""}
}

// seconds is a length of time as people write it: 30, 30s, 1m.
type seconds float64

// String implements pflag.Value.
func (s *seconds) String() string { return strconv.FormatFloat(float64(*s), 'g', -1, 64) }

// Type implements pflag.Value.
func (s *seconds) Type() string { return "seconds" }

// maxSeconds is the API's bound.
const maxSeconds = 600

// Set implements pflag.Value.
func (s *seconds) Set(text string) error {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		d, derr := time.ParseDuration(text)
		if derr != nil {
			return fmt.Errorf("must be a number of seconds, or like 1m30s")
		}
		f = d.Seconds()
	}
	if !(f > 0 && f <= maxSeconds) {
		return fmt.Errorf("must be above 0 and at most %d seconds", maxSeconds)
	}
	*s = seconds(f)
	return nil
}

// parseKinds reads kinds of profiles, each once, in the order given.
func parseKinds(names []string) ([]gopprof.Kind, error) {
	var kinds []gopprof.Kind
	for _, name := range names {
		k, err := gopprof.ParseKind(strings.TrimSpace(name))
		if err != nil {
			return nil, usageError{err}
		}
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds, nil
}

func (c *commands) kindFlag(cmd *cobra.Command, to *string, text string) {
	cmd.Flags().StringVar(to, "kind", "", text)
	_ = cmd.RegisterFlagCompletionFunc("kind", fixed(words(gopprof.Kinds())...))
}

// causeFlag is for the main cause of reports.
func (c *commands) causeFlag(cmd *cobra.Command, to *string) {
	causes := words(gopprof.CauseKinds())
	cmd.Flags().StringVar(to, "cause", "", "only reports of this main `cause`: "+strings.Join(causes, ", "))
	_ = cmd.RegisterFlagCompletionFunc("cause", fixed(causes...))
}

func words[S ~string](all []S) []string {
	var words []string
	for _, s := range all {
		words = append(words, string(s))
	}
	return words
}
