package metricsdoc

import (
	"fmt"
	"strings"

	"github.com/gopprof/gopprof/docs/gen/source"
)

// ReasonTable writes the values of the label "reason" as a Markdown table. A word that nothing
// explains is an error.
func ReasonTable(reasons *source.Set) (string, error) {
	if reasons.Err != nil {
		return "", fmt.Errorf("reading reasons: %w", reasons.Err)
	}
	var b strings.Builder
	b.WriteString("| reason | meaning |\n|---|---|\n")
	for _, r := range reasons.Words {
		if r.Meaning == "" {
			return "", fmt.Errorf("reading reasons: no meaning beside constant %s", r.Constant)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Value, strings.ReplaceAll(r.Meaning, "|", `\|`))
	}
	return b.String(), nil
}
