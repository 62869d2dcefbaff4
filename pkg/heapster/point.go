package heapster

import (
	"encoding/json"
	"math"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Bounds of what can be true. Users of Heapster reported negative rates and rates of about
// 1.8e19 (a counter that went back, as an unsigned number), the latter also divided by the
// interval; nothing real comes near.
const (
	maxMillicores  = 1e8
	maxMemoryBytes = 1 << 50
	maxNameBytes   = 253 // of a Kubernetes name
)

// Point is one number of one container at one stamp.
type Point struct {
	Series gopprof.SeriesKey
	At     time.Time // end of its interval
	Metric Metric
	Value  float64 // cores or bytes
	Absurd bool    // Value cannot be true and must not be used
	Ours   bool    // written by gopprof's record stage
	Schema Schema
}

// Table is one measurement of an answer to Statement, with epoch=ms. Numbers are
// json.Number, absent ones nil.
type Table struct {
	Measurement string
	Columns     []string
	Rows        [][]any
}

// Points returns the table's points in its order, and how many rows were not understood: no
// time, no names, something else than a number where one belongs. Columns that are unknown
// or null are nobody's.
func (t Table) Points() (points []Point, malformed int) {
	for _, cells := range t.Rows {
		found, ok := t.row(cells)
		if !ok {
			malformed++
			continue
		}
		points = append(points, found...)
	}
	return points, malformed
}

func (t Table) row(cells []any) ([]Point, bool) {
	if len(cells) != len(t.Columns) {
		return nil, false
	}
	var of Point
	var points []Point
	timed, whole := false, true
	for i, column := range t.Columns {
		if metric, schema, ok := metricOf(t.Measurement, column); ok {
			if value, ok := number(cells[i]); ok {
				points = append(points, Point{Metric: metric, Schema: schema, Value: value})
			} else if cells[i] != nil {
				whole = false
			}
			continue
		}
		switch column {
		case "time":
			of.At, timed = stamp(cells[i])
		case TagNamespace:
			of.Series.Namespace = text(cells[i])
		case TagPod:
			of.Series.Pod = text(cells[i])
		case TagContainer:
			of.Series.Container = text(cells[i])
		case TagSource:
			of.Ours = text(cells[i]) == SourceOurs
		}
	}
	for i := range points {
		points[i].finish(of)
	}
	return points, timed && whole && named(of.Series)
}

// finish gives a point its row's stamp and names, and its value the right unit.
func (p *Point) finish(of Point) {
	p.Series, p.At, p.Ours = of.Series, of.At, of.Ours
	p.Absurd = absurd(p.Metric, p.Value)
	if p.Metric == MetricCPUUse || p.Metric == MetricCPULimit {
		p.Value /= MillicoresPerCore
	}
}

// absurd judges a value in the unit in which it is stored. A limit is a whole number of them:
// a smaller part is none, and would make a ratio without bound.
func absurd(m Metric, v float64) bool {
	switch m {
	case MetricCPUUse:
		return !(v >= 0 && v <= maxMillicores)
	case MetricCPULimit:
		return !(v == 0 || v >= 1 && v <= maxMillicores)
	case MetricMemoryUse:
		return !(v >= 0 && v <= maxMemoryBytes)
	}
	return !(v == 0 || v >= 1 && v <= maxMemoryBytes)
}

func named(k gopprof.SeriesKey) bool {
	for _, name := range []string{k.Namespace, k.Pod, k.Container} {
		if name == "" || len(name) > maxNameBytes {
			return false
		}
	}
	return true
}

func text(cell any) string {
	s, _ := cell.(string)
	return s
}

func number(cell any) (float64, bool) {
	n, ok := cell.(json.Number)
	if !ok {
		return 0, false
	}
	v, err := n.Float64()
	// A number that is too large even for a float64 is absurd, not malformed.
	return v, err == nil || math.IsInf(v, 0)
}

func stamp(cell any) (time.Time, bool) {
	n, ok := cell.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	ms, err := n.Int64()
	return time.UnixMilli(ms).UTC(), err == nil
}
