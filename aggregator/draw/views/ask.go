package views

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// pages are those of the driver's that are offered. The others write files (saveconfig,
// deleteconfig), read files that the profile names (source, disasm), run dot with no bound
// and show its drawing as it is (graph), or hand out what the API hands out better
// (download).
var pages = []string{"flamegraph", "top", "peek"}

const (
	longestExpression = 4 << 10  // in bytes; a selection of many functions is long
	longestQuery      = 16 << 10 // of all parameters
)

// parameters are those of the driver's that are passed on, each with what it may be. None
// names a file or runs anything; those of labels are left out, of which there are none.
var parameters = map[string]func(value string) bool{
	"f": expression, "i": expression, "h": expression, "s": expression, "sf": expression, "prunefrom": expression,
	"p":  expression, // the page itself reads it
	"si": regexp.MustCompile(`^[a-z_]{0,40}$`).MatchString,
	"n": func(v string) bool {
		n, err := strconv.Atoi(v)
		return v == "" || err == nil && n >= 0 && n <= 10_000
	},
	"g":    oneOf("", "functions", "filefunctions", "files", "lines", "addresses"),
	"sort": oneOf("", "flat", "cum"),
	"trim": truth, "rel": truth, "dropneg": truth, "noinlines": truth, "compact": truth,
}

// expression is a regular expression: of RE2, which takes linear time, so its length is
// what bounds it. Whether it is one, the view's process says.
func expression(v string) bool { return len(v) <= longestExpression }

func oneOf(values ...string) func(string) bool {
	return func(v string) bool { return slices.Contains(values, v) }
}

var truth = oneOf("", "t", "f", "true", "false", "0", "1")

// ask returns the job that a request means. The error is a *gopprof.Error: unknown for a
// page that is not offered, bad_input for a parameter.
func ask(page, rawQuery string) (job, error) {
	if !slices.Contains(pages, page) {
		return job{}, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "this page of pprof is not offered here; there are " + strings.Join(pages, ", ")}
	}
	if len(rawQuery) > longestQuery {
		return job{}, badInput("the address is longer than %d bytes", longestQuery)
	}
	asked, err := url.ParseQuery(rawQuery)
	if err != nil {
		return job{}, badInput("the address's parameters cannot be read")
	}
	for name, values := range asked {
		fits, known := parameters[name]
		switch {
		case !known:
			return job{}, badInput("parameter %.40q is not passed on to pprof", name)
		case len(values) != 1:
			return job{}, badInput("parameter %q stands there %d times", name, len(values))
		case !fits(values[0]):
			return job{}, badInput("parameter %q is longer than allowed, or not one of its values", name)
		}
	}
	return job{Page: page, Query: asked.Encode()}, nil
}

func badInput(format string, args ...any) error {
	return &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: fmt.Sprintf(format, args...)}
}
