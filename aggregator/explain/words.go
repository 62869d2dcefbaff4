package explain

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// percent writes a ratio. What is not all is never "100 %", what is not nothing never "0 %".
func percent(ratio float64) string {
	switch {
	case math.IsNaN(ratio) || ratio < 0:
		return "an unknown share"
	case ratio > 10:
		return "more than 1000 %"
	case ratio > 0 && ratio < 0.005:
		return "less than 1 %"
	case ratio < 1 && ratio > 0.99:
		return "99 %"
	}
	return strconv.FormatFloat(math.Round(ratio*100), 'f', 0, 64) + " %"
}

func share100(part, total int64) string { return percent(float64(part) / float64(total)) }

// digits writes a number with about three digits.
func digits(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// cores writes a number of cores as people set it: 0.5, 2, 1.25.
func cores(v float64) string {
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}

// size writes bytes in binary units.
func size(bytes float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for ; bytes >= 1024 && i < len(units)-1; i++ {
		bytes /= 1024
	}
	if i == 0 || bytes == math.Trunc(bytes) {
		return strconv.FormatFloat(bytes, 'f', 0, 64) + " " + units[i]
	}
	return digits(bytes) + " " + units[i]
}

// length writes a duration: 1 m, 90 s.
func length(seconds float64) string {
	if seconds >= 60 && math.Mod(seconds, 60) == 0 {
		return strconv.FormatFloat(seconds/60, 'f', 0, 64) + " m"
	}
	return strings.TrimSuffix(strconv.FormatFloat(seconds, 'f', 1, 64), ".0") + " s"
}

// clock writes an interval within a day.
func clock(start, end time.Time) string {
	return start.UTC().Format("15:04:05") + "–" + end.UTC().Format("15:04:05") + " UTC"
}

// majorVersion is the last element of an import path that says nothing by itself.
var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// short writes a function's name without the directories of its package, as pprof's
// graphs do: shop/internal/cart.(*Cart).Total is cart.(*Cart).Total.
func short(f gopprof.Function) string {
	name := f.Name
	pkg := packageOf(name)
	parts := strings.Split(pkg, "/")
	last := parts[len(parts)-1]
	if majorVersion.MatchString(last) && len(parts) > 1 {
		last = parts[len(parts)-2]
	}
	return last + name[len(pkg):]
}

// quote makes a foreign string fit for a line.
func quote(s string) string { return profile.Printable(strings.Join(strings.Fields(s), " "), 200) }

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
