// Package heapster knows how Heapster (the Kubernetes metrics collector, retired in 2018)
// lays out containers' use in InfluxDB 1.x: the names of both its schemas, what a row of
// an answer means, which values cannot be true, and how the server is reached.
//
// Rows of an answer enter, points in cores and bytes leave. It never takes a missing point
// for zero, and never holds more of an answer than it was allowed. The InfluxDB client
// library is not known here: agent/observe/heapster decodes with it, agent/record encodes.
//
// Both schemas hold the same numbers:
//
//	default          measurement "cpu/usage_rate", "cpu/limit", "memory/working_set", "memory/limit"; field "value"
//	withfields=true  measurement "cpu" with fields "usage_rate", "limit"; "memory" with "working_set", "limit"
//
// CPU is integer millicores, memory integer bytes, no limit is stored as 0. The stamp of a
// point is the end of its interval, the same for a whole batch. Only type='pod_container'
// is read: a pod's limit is the sum of its containers' and so wrong beside a sidecar without
// one, and its use is the pause container's alone under --source=kubernetes.
package heapster
