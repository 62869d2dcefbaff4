package soak

// Windows of three seconds, profiles of one, short cooldowns and pauses: what takes an hour
// elsewhere takes a minute here. A capture of the CPU rule holds what the other rules want,
// and not the other way round: so rules join each other's captures, or wait for their turn.
const aggregatorYAML = `
shutdown_timeout: 15s
status: {listen: "127.0.0.1:0"}
serve: {listen: "127.0.0.1:0"}
embedded:
  listen: {{.Listen}}
  dir: {{.Dir}}/nats
  agents: [{cluster: {{.Cluster}}, node: {{.Node}}, nkey: {{.AgentKey}}}]
streams: {ack_wait: 10s}
receive: {drain_timeout: 8s, in_progress_interval: 2s, retry_delay: 1s, retry_max_delay: 5s}
dispatch:
  capture_lifetime: 30s
  budget: {per_workload_at_once: 3, per_workload_per_hour: 1000, total_at_once: 20, total_per_hour: 1000}
store: {url: "file://{{.Dir}}/store/reports"}
notify:
  retry_first: 500ms
  retry_most: 4s
  receivers: [{name: inbox, channel: webhook, url: "{{.Inbox}}"}]
  routes: [{owner: {{.Owner}}, receivers: [inbox]}]
`

const agentYAML = `
cluster: {{.Cluster}}
node: {{.Node}}
state_dir: {{.Dir}}/agent
shutdown_timeout: 5s
state_interval: 1s
aggregator_absent: {captures_per_hour: 120}
status: {listen: "127.0.0.1:0"}
static: {file: {{.Dir}}/targets.yaml, interval: 500ms}
observe: {warm_interval: {{.Warm}}, quiet_interval: {{.Quiet}}, warm_for: 15s}
{{if .InfluxDB}}heapster: {url: "{{.InfluxDB}}", resolution: {{.Window}}, jitter: 0s}{{end}}
agreement: {every: 1s, wait: 8s}
judge:
  cpu: {window: {{.Window}}, cpu_seconds: {{.CPUSeconds}}, cooldown: 5s, max_cooldown: 10s, kinds: [cpu, heap]}
  memory: {threshold: 0.6, rearm: 0.5, window: {{.Window}}, cooldown: 5s, max_cooldown: 10s, kinds: [heap]}
  throttled: {window: {{.Window}}, cpu_seconds: {{.CPUSeconds}}, cooldown: 5s, max_cooldown: 10s, kinds: [cpu]}
take: {max_at_once: 4, connect_timeout: 2s, timeout: 5s}
publish: {retry_max: 2s}
nats: {url: "{{.NATS}}", nkey_file: {{.Dir}}/agent.nk, reconnect_wait: 1s}
`
