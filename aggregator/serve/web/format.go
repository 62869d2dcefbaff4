package web

import (
	"fmt"
	"html/template"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/text"
)

// functions are what the templates call. root leads from a page to where the server is
// mounted: "../" for each level.
func functions(root string) template.FuncMap {
	at := func(path string) string { return root + strings.TrimPrefix(path, "/") }
	return template.FuncMap{
		"at":        at,
		"text":      func(v any) string { return text.Line(fmt.Sprint(v), 300) },
		"long":      func(v any) string { return text.Line(fmt.Sprint(v), 2000) },
		"page":      func(id string) string { return at(api.PathPage(id)) },
		"data":      func(id string) string { return at(api.PathReport(id)) },
		"followed":  func(id string) string { return at("/operations/" + url.PathEscape(id)) },
		"wanted":    wanted,
		"outcomeOf": outcomeOf,
		"entry":     func(path, label, place string) entry { return entry{path, label, path == place} },
		"ended":     func(op gopprof.Operation) int { n, _ := progress(op); return n },
		"value":     value,
		"percent":   figures.Tenths,
		"share":     share,
		"use":       use,
		"condition": condition,
		"tone":      tone,
		"ratio":     func(w gopprof.Window, r gopprof.Resource) float64 { v, _ := w.Ratio(r); return v },
		"clock":     func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"date":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"iso":       func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"size":      func(n int64) string { return figures.Size(float64(n)) },
		"figure":    figure,
		"typical":   typical,
		"scope":     scopeWords,
		"surely":    surely,
		"path":      path,
		"deviation": func(sigma float64) string { return fmt.Sprintf("%.1f", sigma) },
		"known":     func(id string) bool { return gopprof.CheckID(id) == nil },
		"outcome":   outcome,
	}
}

// entry is one of the menu.
type entry struct {
	Path, Label string
	Here        bool
}

// value writes a number in the unit of a profile's samples.
func value(v int64, unit string) string {
	switch unit {
	case "nanoseconds":
		d := time.Duration(v)
		if d.Abs() >= time.Second {
			return d.Round(10 * time.Millisecond).String()
		}
		return d.Round(10 * time.Microsecond).String()
	case "bytes":
		return figures.Size(float64(v))
	case "count", "":
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%d %s", v, text.Line(unit, 20))
}

// share writes a part of a total in per cent.
func share(part, total int64) string {
	if total == 0 {
		return "–"
	}
	return figures.Tenths(float64(part) / float64(total))
}

// tone is how the page colours a result: one of the style sheet's own words.
func tone(r gopprof.AgreementResult) string {
	switch r {
	case gopprof.AgreementConfirmed, gopprof.AgreementContradicted:
		return string(r)
	}
	return "open"
}

// condition writes what a rule found true.
func condition(e *gopprof.Evidence) string {
	s := fmt.Sprintf("%s above %s of %s", e.Resource, figures.Tenths(e.Threshold), e.Yardstick())
	if e.Resource == gopprof.ResourceThrottled {
		s = "throttled in more than " + figures.Tenths(e.Threshold) + " of the periods"
	}
	if e.AtOnce {
		return s + ", once"
	}
	return fmt.Sprintf("%s in %d windows of %g s", s, len(e.Windows), e.WindowSeconds)
}

// use writes what a window saw of the resource that fired, against its limit.
func use(w gopprof.Window, r gopprof.Resource) string {
	switch r {
	case gopprof.ResourceCPU:
		return against(fmt.Sprintf("%.3f cores", w.CPU.Mean), fmt.Sprintf("%.3f", w.CPU.Limit), w.CPU)
	case gopprof.ResourceMemory:
		return against(figures.Size(w.Memory.Mean), figures.Size(w.Memory.Limit), w.Memory)
	case gopprof.ResourceThrottled:
		return "throttled in " + figures.Tenths(w.ThrottledRatio) + " of the periods"
	}
	return ""
}

func against(mean, limit string, u gopprof.Use) string {
	if !u.Limited() {
		return mean + ", no limit"
	}
	return mean + " of " + limit
}

var plain = regexp.MustCompile(`^[A-Za-z0-9:/._-]+$`)

// quote makes a text one word for a shell.
func quote(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
