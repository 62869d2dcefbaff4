// Package ops is what both programs need to be operated: logs, metrics, health, the
// status port, build information and an orderly start and stop.
//
// What enters are the program's loops and checks, what leaves are log lines, /metrics,
// /livez and /readyz. It must never decide anything for the pipeline, never listen beyond
// loopback without authentication, and never keep a program alive past its deadline.
package ops
