package record

import (
	"math"
	"strings"
	"time"
	"unicode"

	client "github.com/influxdata/influxdb1-client/v2"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// encode returns the batch in line protocol, how many points it has, and how many targets or
// values were left out because they cannot be written: one must not spoil the others.
func encode(b batch) (lines string, points, refused int) {
	var out strings.Builder
	at := b.at.Truncate(time.Second)
	for _, p := range b.points {
		tags, ok := tags(p.Target)
		if !ok {
			refused++
			continue
		}
		for _, v := range values(p) {
			point, err := v.point(tags, at)
			if err != nil {
				refused++
				continue
			}
			out.WriteString(point.PrecisionString("s") + "\n")
			points++
		}
	}
	return out.String(), points, refused
}

// value is one number in Heapster's units.
type value struct {
	measurement string
	value       float64
}

// values are a point's numbers. As with Heapster the limits go on where a use is not known.
func values(p Point) []value {
	out := []value{
		{heapster.MeasurementCPULimit, p.CPULimitCores * heapster.MillicoresPerCore},
		{heapster.MeasurementMemoryLimit, p.MemoryLimitBytes},
	}
	if p.HasCPU {
		out = append(out, value{heapster.MeasurementCPUUse, p.CPUCores * heapster.MillicoresPerCore})
	}
	if p.HasMemory {
		out = append(out, value{heapster.MeasurementMemoryUse, p.WorkingSetBytes})
	}
	return out
}

// point returns the value as an integer, which the series are: a float among them would be
// refused by InfluxDB.
func (v value) point(tags map[string]string, at time.Time) (*client.Point, error) {
	if !(v.value >= 0 && v.value < math.MaxInt64) {
		return nil, errImpossible
	}
	fields := map[string]any{heapster.FieldValue: int64(math.Round(v.value))}
	return client.NewPoint(v.measurement, tags, fields, at)
}

// tags are Heapster's for a container, and the mark; false if the target cannot be named.
func tags(t gopprof.Target) (map[string]string, bool) {
	out := map[string]string{
		heapster.TagType:      heapster.TypeContainer,
		heapster.TagNode:      t.Node,
		heapster.TagNamespace: t.Namespace,
		heapster.TagPod:       t.Pod,
		heapster.TagContainer: t.Container,
		heapster.TagSource:    heapster.SourceOurs,
	}
	for _, name := range out {
		if !plain(name) {
			return nil, false
		}
	}
	for tag, text := range map[string]string{heapster.TagCluster: t.Cluster, heapster.TagImage: t.Image} {
		if plain(text) { // Heapster too leaves empty tags out
			out[tag] = text
		}
	}
	return out, true
}

// plain tells whether a text may be a tag: the library escapes neither line ends nor
// backslashes, so that one could begin a line of its own.
func plain(s string) bool {
	odd := func(c rune) bool { return unicode.IsControl(c) || c == '\\' || c == unicode.ReplacementChar }
	return s != "" && len(s) <= 1024 && !strings.ContainsFunc(s, odd)
}
