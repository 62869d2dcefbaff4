package heapster

import (
	"fmt"
	"strings"
)

// Names of tags.
const (
	TagType      = "type"
	TagNamespace = "namespace_name"
	TagPod       = "pod_name"
	TagContainer = "container_name"
	TagNode      = "nodename"
	TagCluster   = "cluster_name"
	TagImage     = "container_base_image"
	// TagSource is not Heapster's: gopprof's record stage marks its points with it, so that
	// they are never taken for a second witness.
	TagSource = "source"
)

// Values of tags.
const (
	TypeContainer = "pod_container" // of TagType: a container of a pod
	SourceOurs    = "gopprof"       // of TagSource
)

// Names of the default schema.
const (
	MeasurementCPUUse      = "cpu/usage_rate"
	MeasurementCPULimit    = "cpu/limit"
	MeasurementMemoryUse   = "memory/working_set"
	MeasurementMemoryLimit = "memory/limit"
	FieldValue             = "value"
)

// Names of the schema with fields; FieldLimit stands in both measurements.
const (
	MeasurementCPU    = "cpu"
	MeasurementMemory = "memory"
	FieldCPUUse       = "usage_rate"
	FieldMemoryUse    = "working_set"
	FieldLimit        = "limit"
)

// MillicoresPerCore converts the unit in which Heapster stores CPU.
const MillicoresPerCore = 1000

// Schema is one of Heapster's two layouts.
type Schema string

// The layouts.
const (
	SchemaDefault Schema = "default"
	SchemaFields  Schema = "withfields"
)

// Metric is what one number of a point tells of a container.
type Metric int

// The metrics.
const (
	MetricCPUUse      Metric = iota // cores, mean over the interval that the stamp ends
	MetricCPULimit                  // cores; 0 is no limit
	MetricMemoryUse                 // bytes of working set at the stamp
	MetricMemoryLimit               // bytes; 0 is no limit
	Metrics           = iota        // how many there are
)

// metricOf tells what a column of a measurement holds.
func metricOf(measurement, column string) (Metric, Schema, bool) {
	switch measurement + " " + column {
	case MeasurementCPUUse + " " + FieldValue:
		return MetricCPUUse, SchemaDefault, true
	case MeasurementCPULimit + " " + FieldValue:
		return MetricCPULimit, SchemaDefault, true
	case MeasurementMemoryUse + " " + FieldValue:
		return MetricMemoryUse, SchemaDefault, true
	case MeasurementMemoryLimit + " " + FieldValue:
		return MetricMemoryLimit, SchemaDefault, true
	case MeasurementCPU + " " + FieldCPUUse:
		return MetricCPUUse, SchemaFields, true
	case MeasurementCPU + " " + FieldLimit:
		return MetricCPULimit, SchemaFields, true
	case MeasurementMemory + " " + FieldMemoryUse:
		return MetricMemoryUse, SchemaFields, true
	case MeasurementMemory + " " + FieldLimit:
		return MetricMemoryLimit, SchemaFields, true
	}
	return 0, "", false
}

// Names of the statement's bound parameters: no name of a node or cluster ever stands in
// the statement itself.
const (
	ParameterNode    = "node"
	ParameterFrom    = "from" // integer nanoseconds since 1970, inclusive
	ParameterTo      = "to"   // integer nanoseconds since 1970, inclusive
	ParameterCluster = "cluster"
)

// Statement returns the query for all containers of one node. It names the measurements of
// both schemas: one that does not exist costs the server nothing, and so the answer itself
// tells which schema is there. The node is a condition of the statement itself; of an outer
// one around a subquery it would scan the whole database. The server stops after rowsMax
// rows of each measurement.
func Statement(rowsMax int, ofCluster bool) string {
	columns := []string{FieldValue, FieldCPUUse, FieldMemoryUse, FieldLimit, TagNamespace, TagPod, TagContainer, TagSource}
	measurements := []string{
		MeasurementCPUUse, MeasurementCPULimit, MeasurementMemoryUse, MeasurementMemoryLimit,
		MeasurementCPU, MeasurementMemory,
	}
	cluster := ""
	if ofCluster {
		cluster = fmt.Sprintf(` AND "%s" = $%s`, TagCluster, ParameterCluster)
	}
	return fmt.Sprintf(`SELECT %s FROM %s WHERE "%s" = '%s' AND "%s" = $%s%s AND time >= $%s AND time <= $%s LIMIT %d`,
		quoted(columns), quoted(measurements), TagType, TypeContainer, TagNode, ParameterNode, cluster,
		ParameterFrom, ParameterTo, rowsMax)
}

func quoted(names []string) string {
	return `"` + strings.Join(names, `", "`) + `"`
}
