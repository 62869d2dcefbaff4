package show

import (
	"fmt"
	"strconv"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Heading says what a profile is of: "cpu: 14.2 s in 30 s, 312 stacks".
func Heading(t gopprof.TopFunctions) string {
	s := string(t.Kind) + ": " + Value(t.Total, t.Unit)
	if t.DurationSeconds > 0 {
		s += " in " + Number(t.DurationSeconds) + " s"
	}
	if t.Samples > 0 {
		s += ", " + strconv.FormatInt(t.Samples, 10) + " stacks"
	}
	if t.Reason != "" || t.Detail != "" {
		s += "; " + Because(t.Reason, t.Detail)
	}
	return Clean(s)
}

// Top lists the heaviest functions of a profile, the most that are asked for.
func Top(v View, t gopprof.TopFunctions, most int) *Table {
	out := &Table{Header: row{"FLAT", "FLAT%", "CUM", "CUM%", "FUNCTION"}.when(v.Wide, "AT")}
	for i, f := range t.Functions {
		if i == most {
			break
		}
		out.Add(row{
			Value(f.Flat, t.Unit), Percent(float64(f.Flat), float64(t.Total)),
			Value(f.Cum, t.Unit), Percent(float64(f.Cum), float64(t.Total)), f.Name,
		}.when(v.Wide, where(f))...)
	}
	return out
}

func where(f gopprof.Function) string {
	if f.File == "" {
		return "-"
	}
	if f.Line == 0 {
		return f.File
	}
	return f.File + ":" + strconv.FormatInt(f.Line, 10)
}

// Merged tells a group's merged profile in lines: over whom, who differs, who is left out.
func Merged(m api.MergedKind) []string {
	lines := []string{fmt.Sprintf("merged %s profile of %d pods", m.Kind, len(m.Pods))}
	for _, o := range m.Outliers {
		lines = append(lines, fmt.Sprintf("  differs: %s: %s (report %s)", o.Pod, o.Summary, o.Report))
	}
	if len(m.Outliers) == 0 && m.Note == "" && len(m.Pods) > 1 {
		lines = append(lines, "  no pod differs from the others")
	}
	for _, l := range m.LeftOut {
		lines = append(lines, fmt.Sprintf("  left out: %s: %s", l.Pod, Because(l.Reason, l.Detail)))
	}
	if m.Note != "" {
		lines = append(lines, "  "+m.Note)
	}
	for i := range lines {
		lines[i] = Clean(lines[i])
	}
	return lines
}
