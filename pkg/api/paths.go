package api

import "github.com/gopprof/gopprof/pkg/gopprof"

// The paths of the API, below the path prefix of the server.
const (
	PathReports    = "/api/v1/reports"
	PathCaptures   = "/api/v1/captures"
	PathOperations = "/api/v1/operations"
	PathTargets    = "/api/v1/targets"
	PathPause      = "/api/v1/pause"
	PathAlerts     = "/api/v1/alerts"
	PathSilences   = "/api/v1/silences"
	PathReceivers  = "/api/v1/receivers"
	PathNamespaces = "/api/v1/namespaces"
	PathOpenAPI    = "/api/v1/openapi.json"
)

// PathReport returns the path of a report.
func PathReport(id string) string { return PathReports + "/" + id }

// PathProfile returns the path of a profile's bytes as they came: `go tool pprof` reads it.
func PathProfile(id string, k gopprof.Kind) string {
	return PathReport(id) + "/profiles/" + string(k)
}

// PathDrawing returns the path of a profile's call graph (SVG).
func PathDrawing(id string, k gopprof.Kind) string {
	return PathReport(id) + "/drawings/" + string(k)
}

// PathPicture returns the path of the picture of a report's evidence (SVG).
func PathPicture(id string) string { return PathReport(id) + "/evidence.svg" }

// PathBundle returns the path of everything that is stored of a report, as one zip file.
func PathBundle(id string) string { return PathReport(id) + "/bundle.zip" }

// PathOperation returns the path of an operation.
func PathOperation(id string) string { return PathOperations + "/" + id }

// PathSilence returns the path of a silence.
func PathSilence(id string) string { return PathSilences + "/" + id }

// PathReceiverTest returns the path at which a receiver is sent a test message.
func PathReceiverTest(name string) string { return PathReceivers + "/" + name + "/test" }

// PathEvents returns the path of an operation's progress as server-sent events: "state"
// events whose data is the operation, until it has ended or the server closes the stream.
func PathEvents(id string) string { return PathOperation(id) + "/events" }

// PathMerged returns the path of what an operation's group is as one (Merged).
func PathMerged(id string) string { return PathOperation(id) + "/merged" }

// PathMergedProfile returns the path of a group's merged profile: `go tool pprof` reads it.
func PathMergedProfile(id string, k gopprof.Kind) string { return PathMerged(id) + "/" + string(k) }

// PathPodProfile returns the path at which `go tool pprof` takes a fresh profile of a pod.
// page is net/http/pprof's name of the kind: profile, heap …
func PathPodProfile(namespace, pod, page string) string {
	return PathNamespaces + "/" + namespace + "/pods/" + pod + "/debug/pprof/" + page
}

// PathWorkloadProfile returns the path at which `go tool pprof` takes a fresh profile merged
// over pods of a workload. resource is Kubernetes' plural: deployments, statefulsets …
func PathWorkloadProfile(namespace, resource, name, page string) string {
	return PathNamespaces + "/" + namespace + "/" + resource + "/" + name + "/debug/pprof/" + page
}

// PathPage returns the path of a report's page for people.
func PathPage(id string) string { return "/reports/" + id }
