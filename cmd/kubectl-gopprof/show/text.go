// Package show writes what the server answered for people and programs: tables, JSON and
// YAML, words for reasons, units.
//
// Answers enter; text leaves. Names and details come from pods that may be hostile: nothing
// that a terminal would obey leaves this package, in whatever format.
package show

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gopprof/gopprof/pkg/profile"
)

// maxText bounds one text from elsewhere, in bytes.
const maxText = 4096

// Clean makes a text from elsewhere safe to print, on one line.
func Clean(s string) string { return profile.Printable(s, maxText) }

// Clip is Clean for a text that must not be longer than a number of characters.
func Clip(s string, most int) string {
	runes := []rune(Clean(s))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most-1]) + "…"
}

// Table is rows of cells below a header.
type Table struct {
	Header []string
	Rows   [][]string
}

// Add appends a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Write writes the table with its columns aligned. Every cell is cleaned.
func (t *Table) Write(w io.Writer) error {
	var text strings.Builder
	aligned := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		clean := make([]string, len(row))
		for i, cell := range row {
			clean[i] = Clean(cell)
		}
		if _, err := fmt.Fprintln(aligned, strings.Join(clean, "\t")); err != nil {
			return err
		}
	}
	if err := aligned.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := io.WriteString(w, strings.TrimRight(line, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// Age writes how long ago something was, as kubectl does.
func Age(now, at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return Length(now.Sub(at))
}

// Length writes a duration in its one or two largest units.
func Length(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < 10*time.Minute && d%time.Minute >= time.Second:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 3*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours())/24) + "d"
}

// Number writes a number with three digits that matter.
func Number(f float64) string {
	if f >= 1000 || f <= -1000 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}

// Bytes writes a size.
func Bytes(f float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB", "TiB"} {
		if f < 1000 && f > -1000 || unit == "TiB" {
			return Number(f) + " " + unit
		}
		f /= 1024
	}
	return ""
}

// Value writes a value of a profile in its unit, which the profile names.
func Value(v int64, unit string) string {
	switch unit {
	case "nanoseconds":
		return Number(time.Duration(v).Seconds()) + " s"
	case "bytes":
		return Bytes(float64(v))
	}
	return strconv.FormatInt(v, 10)
}

// Percent writes a part of a whole.
func Percent(part, whole float64) string {
	if whole == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*part/whole, 'f', 1, 64) + "%"
}
