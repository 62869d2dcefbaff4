package api

import (
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// describeStreams writes into the OpenAPI document what huma does not serve: answers that
// take their time.
func describeStreams(a huma.API) {
	text := &huma.Schema{Type: huma.TypeString}
	parameter := func(in, name, doc string) *huma.Param {
		return &huma.Param{Name: name, In: in, Required: in == "path", Description: doc, Schema: text}
	}
	state := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[gopprof.Operation](), true, "Operation")
	events := operation(a, huma.Operation{
		OperationID: "follow-operation", Method: http.MethodGet, Path: api.PathEvents("{id}"),
		Summary:     "Follow an operation",
		Description: "Server-sent events of type \"state\", each with the operation as its data, until it has ended.",
		Parameters:  []*huma.Param{parameter("path", "id", "ID of the operation.")},
		Responses:   map[string]*huma.Response{"200": {Description: "The events", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: state}}}},
	})
	fresh := operation(a, huma.Operation{
		OperationID: "take-profile", Method: http.MethodGet, Path: freshPath,
		Summary:     "Take a profile now",
		Description: "`go tool pprof` reads this URL, as it reads net/http/pprof's. Of a workload, one wave of pods is profiled and merged. What was taken is stored as reports.",
		Parameters: []*huma.Param{
			parameter("path", "namespace", ""), parameter("path", "resource", "pods, "+names(workloadKinds)+"."), parameter("path", "name", ""),
			parameter("path", "page", names(pages)+"."), parameter("query", "seconds", "Length of the cpu profile and the trace."),
			parameter("query", "container", "May be left out when each pod has one target."), parameter("query", "cluster", "May be left out where the aggregator serves one cluster."),
		},
		Responses: file("application/octet-stream"),
	})
	bundle := operation(a, huma.Operation{
		OperationID: "get-bundle", Method: http.MethodGet, Path: bundlePath,
		Summary:     "Get everything that is stored of a report",
		Description: "One zip file: report.json, profiles, call graphs and the picture of the evidence. MISSING.txt names what is not in the store any more.",
		Parameters:  []*huma.Param{parameter("path", "id", "ID of the report.")},
		Responses:   file("application/zip"),
	})
	a.OpenAPI().AddOperation(&bundle)
	a.OpenAPI().AddOperation(&events)
	a.OpenAPI().AddOperation(&fresh)
}
