// Package gopprof holds the nouns that every stage of gopprof passes on: what may be
// profiled (Target), what it used (Reading, Window), why it is profiled (Rule, Trigger),
// what was taken (Capture, Profile) and what is told about it (Report).
//
// Nothing enters and nothing leaves here: the package is the standard library only and
// does no I/O, so that every other package may depend on it. The JSON of these types is
// what pkg/wire sends and what report.json stores: a field that was once released is
// never renamed or given another meaning.
package gopprof
