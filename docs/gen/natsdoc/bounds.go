package natsdoc

import (
	"maps"
	"strings"

	"github.com/gopprof/gopprof/docs/gen/schemadoc"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What pkg/wire checks of texts. It counts bytes and a schema counts characters, of which
// there are never more: what a schema refuses is too long in any case.
const (
	printable = `^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$`
	hash      = "^[0-9a-f]{64}$"
	id        = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
)

// keywords makes an object of a keyword and its value, and so on.
func keywords(pairs ...any) schemadoc.Object {
	var out schemadoc.Object
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, schemadoc.Member{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return out
}

func uuid7() schemadoc.Object {
	return keywords("type", "string", "format", "uuid", "pattern", id)
}

func text(most int) schemadoc.Object { return keywords("maxLength", most, "pattern", printable) }

func number(least, most float64) schemadoc.Object {
	return keywords("minimum", least, "maximum", most)
}

// bounds is what pkg/wire checks, by "Type.json name".
func bounds() map[string]schemadoc.Object {
	out := texts()
	maps.Copy(out, lists())
	maps.Copy(out, numbers())
	for _, field := range strings.Fields("Report.id Capture.id Capture.incident Firing.capture Decision.incident CaptureRequest.capture CaptureRequest.incident" +
		" CancelRequest.capture StatusRequest.capture PauseRequest.id") {
		out[field] = uuid7()
	}
	// A request on its way to an agent is checked more than the same in a capture.
	out["CaptureRequest.request"] = keywords("type", "object", "properties", keywords("operation", uuid7()))
	out["Profile.sha256"] = keywords("pattern", hash)
	out["History.seriesBy"] = keywords("enum", []gopprof.Witness{gopprof.WitnessHeapster, gopprof.WitnessRecord})
	return out
}

func texts() map[string]schemadoc.Object {
	out := map[string]schemadoc.Object{}
	for most, fields := range map[int]string{
		// Words of closed sets, and what may be one.
		64: "Runtime.gogc Runtime.gomemlimit Runtime.gomaxprocs Evidence.rule RuleState.rule RuleState.lastCapture Alert.fingerprint",
		// Names as Kubernetes bounds them.
		253: "Target.cluster Target.namespace Workload.kind Workload.name Target.pod Target.container Target.build NodeState.cluster" +
			" Firing.rule CaptureRequest.namespace CaptureRequest.pod CaptureRequest.podUID CaptureRequest.container Alert.name Alert.receiver",
		gopprof.MaxAlertText: "Alert.generatorURL",
		1024: "Target.podUID Target.containerID Target.image Target.owner Endpoint.scheme Endpoint.host Endpoint.path Capture.agent NodeState.version" +
			" Request.who Request.operation",
		// Details are cut, and a mark of one character says so.
		1025: "Agreement.detail Failure.detail TargetState.detail Refusal.detail CaptureReply.detail",
	} {
		for _, field := range strings.Fields(fields) {
			out[field] = text(most)
		}
	}
	for _, field := range []string{"Target.node", "NodeState.node"} {
		out[field] = keywords("minLength", 1).With(text(253))
	}
	return out
}

func lists() map[string]schemadoc.Object {
	said := keywords("maxProperties", gopprof.MaxAlertEntries, "propertyNames", text(gopprof.MaxAlertName), "additionalProperties", keywords("type", "string").With(text(gopprof.MaxAlertText)))
	plain := keywords("pattern", printable, "not", keywords("pattern", "[,=]"))
	pods := keywords("maxProperties", 64, "propertyNames", keywords("minLength", 1).With(plain), "additionalProperties", keywords("type", "string").With(plain))
	return map[string]schemadoc.Object{
		"Alert.labels":         said,
		"Alert.annotations":    said,
		"Evidence.windows":     keywords("maxItems", 20),
		"Agreement.compared":   keywords("maxItems", 500),
		"Capture.failures":     keywords("maxItems", len(gopprof.Kinds())),
		"Capture.profiles":     keywords("maxItems", len(gopprof.Kinds())),
		"Firing.kinds":         keywords("maxItems", len(gopprof.Kinds())),
		"CaptureRequest.kinds": keywords("maxItems", len(gopprof.Kinds())),
		"History.local":        keywords("maxItems", gopprof.MaxHistory),
		"History.series":       keywords("maxItems", gopprof.MaxHistory),
		"Capture.labels":       pods,
		"TargetState.labels":   pods,
	}
}

func numbers() map[string]schemadoc.Object {
	const (
		day     = 86_400
		exabyte = 1e18
	)
	out := map[string]schemadoc.Object{
		"Report.version":            keywords("const", gopprof.ReportVersion),
		"Firing.threshold":          number(0, 1),
		"Firing.cpuSeconds":         number(0, day),
		"Capture.requests":          number(0, exabyte),
		"CaptureReply.secondsLeft":  number(0, day),
		"CaptureRequest.cpuSeconds": keywords("minimum", 0),
		"Profile.seconds":           keywords("minimum", 0),
		"Profile.sizeBytes":         keywords("minimum", 1),
		"Point.throttledRatio":      number(0, 1),
	}
	for _, field := range []string{"cpuCores", "cpuLimitCores", "memoryBytes", "memoryLimitBytes", "anonymousBytes"} {
		out["Point."+field] = number(0, exabyte)
	}
	return out
}
