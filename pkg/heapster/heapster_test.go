package heapster

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestStatement(t *testing.T) {
	const want = `SELECT "value", "usage_rate", "working_set", "limit", "namespace_name", "pod_name", "container_name", "source"` +
		` FROM "cpu/usage_rate", "cpu/limit", "memory/working_set", "memory/limit", "cpu", "memory"` +
		` WHERE "type" = 'pod_container' AND "nodename" = $node AND time >= $from AND time <= $to LIMIT 7`
	if got := Statement(7, false); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := Statement(7, true); !strings.Contains(got, `AND "cluster_name" = $cluster AND time`) {
		t.Errorf("got %s", got)
	}
}

var key = gopprof.SeriesKey{Namespace: "ns", Pod: "p", Container: "c"}

// row is a row of a table whose first columns are time and names.
func row(cells ...any) []any {
	return append([]any{json.Number("60000"), "ns", "p", "c"}, cells...)
}

func table(measurement string, rows [][]any, columns ...string) Table {
	return Table{Measurement: measurement, Rows: rows, Columns: append([]string{"time", TagNamespace, TagPod, TagContainer}, columns...)}
}

func TestPointsOfBothSchemas(t *testing.T) {
	minute := time.UnixMilli(60000).UTC()
	for name, c := range map[string]struct {
		table Table
		want  []Point
	}{
		"default": {
			table(MeasurementCPUUse, [][]any{row(json.Number("950"), nil)}, FieldValue, TagSource),
			[]Point{{Series: key, At: minute, Metric: MetricCPUUse, Value: 0.95, Schema: SchemaDefault}},
		},
		"ours": {
			table(MeasurementMemoryLimit, [][]any{row(json.Number("0"), SourceOurs)}, FieldValue, TagSource),
			[]Point{{Series: key, At: minute, Metric: MetricMemoryLimit, Ours: true, Schema: SchemaDefault}},
		},
		"withfields": {
			table(MeasurementMemory, [][]any{row(nil, nil, json.Number("7"), json.Number("9"))}, FieldValue, FieldCPUUse, FieldMemoryUse, FieldLimit),
			[]Point{
				{Series: key, At: minute, Metric: MetricMemoryUse, Value: 7, Schema: SchemaFields},
				{Series: key, At: minute, Metric: MetricMemoryLimit, Value: 9, Schema: SchemaFields},
			},
		},
		"another measurement": {table("cpu/request", [][]any{row(json.Number("1"))}, FieldValue), nil},
	} {
		got, malformed := c.table.Points()
		if len(got) != len(c.want) || malformed != 0 {
			t.Fatalf("%s: got %+v, %d malformed", name, got, malformed)
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: got %+v, want %+v", name, got[i], c.want[i])
			}
		}
	}
}

func TestAbsurdValues(t *testing.T) {
	for _, c := range []struct {
		measurement, value string
		absurd             bool
	}{
		{MeasurementCPUUse, "0", false},
		{MeasurementCPUUse, "0.25", false},
		{MeasurementCPUUse, "100000000", false},
		{MeasurementCPUUse, "100000001", true},
		{MeasurementCPUUse, "-1", true},
		{MeasurementCPUUse, "18446744073709551615", true},
		{MeasurementCPUUse, "1.8e19", true},
		{MeasurementCPUUse, "1e999", true},
		{MeasurementCPUUse, "-1e999", true},
		{MeasurementCPULimit, "0", false},
		{MeasurementCPULimit, "1", false},
		{MeasurementCPULimit, "1e-9", true},
		{MeasurementMemoryUse, "1125899906842624", false},
		{MeasurementMemoryUse, "9223372036854771712", true},
		{MeasurementMemoryLimit, "0.5", true},
		{MeasurementMemoryLimit, "-1", true},
	} {
		points, malformed := table(c.measurement, [][]any{row(json.Number(c.value))}, FieldValue).Points()
		if len(points) != 1 || malformed != 0 || points[0].Absurd != c.absurd {
			t.Errorf("%s %s: got %+v, %d malformed, want absurd %v", c.measurement, c.value, points, malformed, c.absurd)
		}
	}
}

func TestMalformedRows(t *testing.T) {
	good := row(json.Number("1"))
	for name, bad := range map[string][]any{
		"short":        {json.Number("1")},
		"nil":          nil,
		"no time":      {nil, "ns", "p", "c", json.Number("1")},
		"odd time":     {json.Number("1.5"), "ns", "p", "c", json.Number("1")},
		"time string":  {"now", "ns", "p", "c", json.Number("1")},
		"no pod":       {json.Number("1"), "ns", nil, "c", json.Number("1")},
		"long name":    {json.Number("1"), "ns", strings.Repeat("p", 254), "c", json.Number("1")},
		"text":         row("1"),
		"truth":        row(true),
		"not a number": row(json.Number("0x")),
	} {
		points, malformed := table(MeasurementCPUUse, [][]any{bad, good}, FieldValue).Points()
		if len(points) != 1 || malformed != 1 {
			t.Errorf("%s: got %+v, %d malformed", name, points, malformed)
		}
	}
}
