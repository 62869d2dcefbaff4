package api

import "github.com/gopprof/gopprof/pkg/gopprof"

// The paths of the API, below the path prefix of the server.
const (
	PathReports    = "/api/v1/reports"
	PathCaptures   = "/api/v1/captures"
	PathOperations = "/api/v1/operations"
	PathTargets    = "/api/v1/targets"
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

// PathOperation returns the path of an operation.
func PathOperation(id string) string { return PathOperations + "/" + id }

// PathPage returns the path of a report's page for people.
func PathPage(id string) string { return "/reports/" + id }
