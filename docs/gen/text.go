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
