package main

const generated = "<!-- Written by `make update-docs` out of the source. Do not edit. -->\n"

const configText = generated + `
# Configuration

Each program reads one YAML file over its defaults, named by ` + "`--config`" + `. Below are both files
with every key at its default: a file that says nothing does exactly this. Write only what
you change.

- ` + "`--check-config`" + ` reads the file, tells **all** of its mistakes, each with line and key, and
  exits with status 2 if there are any, else 0. A start does the same check first.
- A directory stands for its files ` + "`*.yaml`" + `, read one over the other in the order of their
  names and checked as one.
- An unknown key, a key that stands twice, a value of another type are mistakes, never
  passed over. ` + "`true`" + ` and ` + "`false`" + ` are the only switches.
- A duration is a number with its unit: ` + "`30s`, `5m`, `1h30m`, `14d`" + `.
- A size (` + "`…_bytes`" + `) is a number of bytes, or one with a unit: ` + "`512KiB`, `20MiB`, `10GiB`" + `.
- A list or table in the file replaces the default one as a whole.
- A secret never stands in the file: ` + "`…_file`" + ` names the file that holds it. It is read at each
  use, without one newline at its end.
- A key after ` + "`#`" + ` shows what may be written there; it is not set by default.

## Agent

` + "```yaml" + `
%s` + "```" + `

## Aggregator

` + "```yaml" + `
%s` + "```" + `

## Targets file

What the agent's ` + "`static.file`" + ` names. It is read as strictly, and again when it changes.

` + "```yaml" + `
%s` + "```" + `

## Tokens file

What the aggregator's ` + "`serve.tokens_file`" + ` names. It is read as strictly, and again when it
changes. It holds secrets: only the aggregator should be able to read it.

` + "```yaml" + `
%s` + "```" + `
`

const metricsText = generated + `
# Metrics

Both programs serve ` + "`/metrics`" + ` on their status port, in Prometheus' format. A metric with
labels appears once there is something to count. A histogram is three series, ending in
` + "`_bucket`, `_sum` and `_count`" + `.

## Both programs

Besides these, what the Prometheus client tells of the Go runtime and of the process
(` + "`go_…`, `process_…`" + `).

%s
## Agent

%s
## Aggregator

%s
## The label reason

One closed set of words, the same in logs, metrics, the API and reports.

%s`

const reportText = generated + `
# A report as data

A report is the product: what was captured, what it shows, why, and where everything is stored.
It is made once and is final. The same JSON is

- ` + "`data`" + ` of each message on NATS and of each webhook ([nats.md](nats.md#reading-reports)), shortened where
  it would be larger than one message;
- ` + "`report.json`" + ` beside the profiles in the store;
- the answer to ` + "`GET /api/v1/reports/{id}`" + `.

As a JSON Schema, in its message: [schemas/report.json](schemas/report.json).

` + "`GET /api/v1/reports`" + ` lists summaries of them, and nothing that lists has ` + "`capture.history`" + `: that is in the
report itself. The picture of the evidence is at ` + "`/api/v1/reports/{id}/evidence.svg`" + `, call graphs are at
` + "`…/drawings/{kind}`" + `, the profiles at ` + "`…/profiles/{kind}`" + `.

## What the versions promise

- ` + "`version`" + ` (now %d) is that of the report's shape. It is raised when a field changes its meaning, never for
  a field that is added: ignore what you do not know.
- ` + "`explanation.verdict.version`" + ` (now %d) is that of the rules that make a verdict, and of its shape. It is raised
  when the rules say something else of the same capture, so that verdicts of one version can be compared and
  counted. A report is never explained again: it keeps the verdict of its day.
- Closed sets may get words. A program that meets one that it does not know shows it as it is.
- Texts for people (` + "`summary`, `warnings`, `line`, `what`, `note`, `detail`" + `) are plain text on one line, in no promised
  wording. Names come from profiled programs and may be anything: escape them.

## Units

- A time is RFC 3339 in UTC. Names end in their unit: ` + "`…Seconds`, `…Bytes`, `…Cores`" + ` (CPU seconds per second).
- ` + "`…Ratio`, `ratio`, `threshold`, `share`, `…Share` and `excess`" + ` are parts of a whole, 0 to 1; a use against its limit
  may be above.
- An optional field is absent when it is empty, 0 or false.

## Types

%s## Example

Shortened: one profile, one window, one point of each witness.

` + "```json" + `
%s` + "```" + `
`
