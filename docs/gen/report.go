package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gopprof/gopprof/docs/gen/datadoc"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func reportReference(root string) ([]byte, error) {
	types, err := datadoc.Write(filepath.Join(root, "pkg", "gopprof"), "Report", said())
	if err != nil {
		return nil, err
	}
	var example bytes.Buffer
	e := json.NewEncoder(&example)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(exampleReport()); err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, reportText, gopprof.ReportVersion, gopprof.VerdictVersion, types, example.Bytes()), nil
}

// said explains what Go's names say by themselves.
func said() map[string]string {
	return map[string]string{
		"Report.version": "of the report's shape: see above", "Report.id": "the capture's (UUIDv7)", "Report.capture": "what was captured, where and why",
		"Report.madeAt": "when the report was made", "Report.explanation": "what the profiles say, and why", "Report.files": "what was stored, one for each kind of profile",

		"Capture.id": "UUIDv7; its time is when the capture was decided", "Capture.incident": "ID (UUIDv7) that captures with one cause share",
		"Capture.trigger": "why it was made", "Capture.target": "what was profiled", "Capture.start": "when taking the profiles began", "Capture.end": "when the last one was taken",
		"Capture.profiles": "what was taken", "Capture.failures": "what was asked for and could not be had",

		"Explanation.profiles": "each profile's heaviest functions",
		"File.kind":            "of the profile",

		"Sibling.target": "the pod", "Sibling.kinds": "what was asked for", "Sibling.state": "what became of it", "Sibling.detail": "of failed, for a person",
		"Fleet.pods": "of the workload, as far as agents told of them",

		"Trigger.kind": "the sort of cause", "Trigger.at": "when the capture was decided",
		"Evidence.rule": "name of the rule", "Evidence.resource": "what the rule watches", "Evidence.policy": "whose word the rule follows", "Evidence.windowSeconds": "length of one window",
		"Request.who": "name of the person or program",

		"Target.cluster": "name that the aggregator gave the cluster", "Target.node": "its node", "Target.namespace": "its namespace", "Target.workload": "what the pod belongs to",
		"Target.podUID": "as the API server knows it", "Target.container": "its container", "Target.containerID": "as the container runtime knows it", "Target.image": "as the pod names it",
		"Target.endpoint": "where its profiles were taken", "Workload.name": "its name", "Endpoint.port": "TCP port",
		"Runtime.gogc": "of the variable GOGC", "Runtime.gomemlimit": "of GOMEMLIMIT", "Runtime.gomaxprocs": "of GOMAXPROCS",

		"Agreement.result": "in one word", "Agreement.detail": "for a person", "Comparison.start": "of the interval", "Comparison.end": "of the interval",
		"Comparison.local": "mean of the local readings, a ratio", "Comparison.series": "value of the series, a ratio",
		"AgreementResult.confirmed": "the series saw it too", "AgreementResult.contradicted": "the series saw something else: see the values compared",
		"AgreementResult.unavailable": "there was no second witness: the reason says which", "AgreementResult.single": "the series were written by gopprof itself, which is no second witness",
		"Witness.cadvisor": "cAdvisor's readings of the cgroup, on the node", "Witness.heapster": "Heapster's series", "Witness.record": "the same series, written by gopprof's own record stage",

		"Profile.kind": "which", "Profile.sizeBytes": "of the file", "Failure.kind": "which", "Failure.reason": "why", "Failure.detail": "why, for a person",

		"History.local": "cAdvisor's readings on the node, oldest first", "History.series": "the series' intervals, oldest first",
		"Point.start": "not part of it", "Point.end": "part of it", "Point.cpuCores": "mean CPU use, CPU seconds per second", "Point.anonymousBytes": "memory that no file is behind",

		"Difference.kind": "of the profile", "Growth.function": "its name, as the profile has it", "Growth.file": "where it is declared",
		"Comparator.report": "its ID", "Comparator.pod": "whose it is", "Cause.kind": "from a closed set", "Cause.confidence": "how sure it is",

		"TopFunctions.kind": "of the profile", "TopFunctions.total": "the whole profile, in the unit", "TopFunctions.durationSeconds": "that it was taken over", "TopFunctions.detail": "of the reason",
		"Function.name": "as the profile has it", "Function.file": "where it is declared",

		"Window.witness": "who saw it", "Window.start": "not part of it", "Window.end": "part of it", "Window.anonymousBytes": "memory that no file is behind",
		"Window.readings": "how many", "Window.hasMemory": "see `hasCPU`",
	}
}

// exampleReport is one of a pod that is hot beside a quiet one, shortened.
func exampleReport() gopprof.Report {
	at := time.Date(2026, 11, 22, 12, 7, 39, 0, time.UTC)
	const id, other, incident = "019aabc0-3c18-7d5e-9a51-2f6c0b7f4e11", "019aabc0-4be0-7a02-8f7e-6a5b1c0d9e22", "019aabc0-3c19-7c11-b1f0-0d2e4c6a8b33"
	typical := 0.02
	target := gopprof.Target{Cluster: "prod", Node: "node-a", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "checkout"},
		Pod: "checkout-6d5f7c9b8-x2x4z", Container: "app", Build: "6d5f7c9b8", Endpoint: gopprof.Endpoint{Scheme: "http", Host: "10.1.2.3", Port: 6060, Path: "/debug/pprof"}}
	sibling := target
	sibling.Pod, sibling.Node, sibling.Endpoint.Host = "checkout-6d5f7c9b8-qk7wd", "node-b", "10.1.3.9"
	window := gopprof.Window{Witness: gopprof.WitnessCadvisor, Start: at.Add(-time.Minute), End: at, HasCPU: true, HasMemory: true, Readings: 6, CoveredRatio: 1,
		CPU: gopprof.Use{Mean: 1.86, Limit: 2, Ratio: 0.93}, Memory: gopprof.Use{Mean: 301989888, Limit: 536870912, Ratio: 0.5625}}
	const fn = "shop/catalog.(*Filter).Match"
	path := []string{"net/http.(*conn).serve", "shop/web.(*Server).list", fn}
	folder := "prod/2026/11/22/shop/Deployment-checkout/20261122T120739.000Z-checkout-6d5f7c9b8-x2x4z-" + id + "/"
	return gopprof.Report{
		Version: gopprof.ReportVersion, ID: id, MadeAt: at.Add(50 * time.Second),
		Capture: gopprof.Capture{
			ID: id, Incident: incident, Target: target, Start: at.Add(time.Second), End: at.Add(31 * time.Second), CPUSeconds: 56.1,
			Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule, At: at, Evidence: &gopprof.Evidence{Rule: "cpu", Resource: gopprof.ResourceCPU,
				Policy: gopprof.PolicyConfirm, Threshold: 0.8, WindowSeconds: 60, Windows: []gopprof.Window{window}}},
			Agreement: gopprof.Agreement{Result: gopprof.AgreementConfirmed, Compared: []gopprof.Comparison{{Start: at.Add(-99 * time.Second), End: at.Add(-39 * time.Second), Local: 0.93, Series: 0.91}}},
			Profiles:  []gopprof.Profile{{Kind: gopprof.KindCPU, Seconds: 30, SizeBytes: 48213, SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}},
			History: gopprof.History{SeriesBy: gopprof.WitnessHeapster,
				Local:  []gopprof.Point{{Start: at.Add(21 * time.Second), End: at.Add(31 * time.Second), HasCPU: true, HasMemory: true, CPUCores: 1.9, CPULimitCores: 2, MemoryBytes: 301989888, MemoryLimitBytes: 536870912, ThrottledRatio: 0.12}},
				Series: []gopprof.Point{{Start: at.Add(-39 * time.Second), End: at.Add(21 * time.Second), HasCPU: true, CPUCores: 1.82, CPULimitCores: 2}}},
		},
		Explanation: gopprof.Explanation{
			Summary: "catalog.(*Filter).Match explains 78 % of what this pod uses more than its sibling: it compiles a regular expression",
			Verdict: &gopprof.Verdict{Version: gopprof.VerdictVersion, Scope: gopprof.ScopePod, Causes: []gopprof.Cause{{
				Kind: gopprof.CauseCodeHot, Confidence: gopprof.ConfidenceSure, Line: "catalog.(*Filter).Match explains 78 % of what this pod uses more than its sibling",
				Function: fn, Path: path, Share: 0.78, Proof: []gopprof.Proof{{What: "CPU in " + fn, Value: 0.62, Unit: "ratio", Typical: &typical}},
			}}},
			Differences: []gopprof.Difference{{
				Kind: gopprof.KindCPU, With: []gopprof.Comparator{{Report: other, Pod: sibling.Pod}}, Unit: "cores", Here: 1.87, Typical: 0.41, Significant: true,
				Functions: []gopprof.Growth{{Function: fn, File: "catalog/filter.go", Here: 1.159, Typical: 0.008, HereShare: 0.62, TypicalShare: 0.02, Excess: 0.78, Sigma: 31.4, Own: true, Below: "regexp/syntax", Path: path}},
			}},
			Profiles: []gopprof.TopFunctions{{Kind: gopprof.KindCPU, SampleType: "cpu", Unit: "nanoseconds", Total: 56100000000, Samples: 812, DurationSeconds: 30,
				Functions: []gopprof.Function{{Name: "regexp/syntax.(*parser).repeat", File: "regexp/syntax/parse.go", Line: 480, Flat: 9800000000, Cum: 21000000000}}}},
		},
		Files:    []gopprof.File{{Kind: gopprof.KindCPU, Profile: folder + "cpu.pb.gz", Drawing: folder + "cpu.svg"}},
		Picture:  folder + "evidence.svg",
		Siblings: []gopprof.Sibling{{Capture: other, Target: sibling, Kinds: []gopprof.Kind{gopprof.KindCPU}, State: gopprof.SiblingStored}},
		Fleet:    &gopprof.Fleet{Pods: 6, Build: 6, Hot: 1, Quiet: 5},
		Page:     "https://gopprof.example/reports/" + id,
	}
}
