package explain

import (
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

func share100(part, total int64) string { return figures.Percent(float64(part) / float64(total)) }

// clock writes an interval within a day.
func clock(start, end time.Time) string {
	return start.UTC().Format("15:04:05") + "–" + end.UTC().Format("15:04:05") + " UTC"
}

func short(f gopprof.Function) string { return profile.Short(f.Name) }

// quote makes a foreign string fit for a line.
func quote(s string) string { return profile.Printable(strings.Join(strings.Fields(s), " "), 200) }
