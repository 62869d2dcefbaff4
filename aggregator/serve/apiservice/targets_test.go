package apiservice

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func watchedTarget(namespace, pod string, windows []gopprof.Window, reasons ...gopprof.Reason) gopprof.TargetState {
	t := gopprof.TargetState{
		Target: gopprof.Target{Namespace: namespace, Pod: pod, Container: "web", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}},
		Local:  windows, Labels: map[string]string{"app": "web"},
	}
	for _, r := range reasons {
		t.Rules = append(t.Rules, gopprof.RuleState{Rule: "x", Reason: r})
	}
	return t
}

func TestTargets(t *testing.T) {
	s := newScene(t)
	window := gopprof.Window{HasCPU: true, HasMemory: true, CPU: gopprof.Use{Mean: 0.28, Limit: 0.3, Ratio: 0.934}, Memory: gopprof.Use{Mean: 96 << 20}}
	s.nodes = []gopprof.NodeState{
		{Cluster: "prod", Node: "b", At: noon.Add(-20 * time.Second), Targets: []gopprof.TargetState{
			watchedTarget("shop", "web-2", []gopprof.Window{{}, window}, gopprof.ReasonBelowThreshold, gopprof.ReasonCooldown),
			watchedTarget("bank", "till-1", nil, gopprof.ReasonNoLimit, gopprof.ReasonBelowThreshold),
		}},
		{Cluster: "prod", Node: "a", At: noon.Add(-10 * time.Second), Paused: true, Targets: []gopprof.TargetState{watchedTarget("shop", "web-1", nil, gopprof.ReasonFired)},
			Refused: []gopprof.Refusal{{Target: gopprof.Target{Namespace: "shop", Pod: "odd\x1b[31m"}, Reason: gopprof.ReasonInvalidEndpoint, Detail: "port\n1"}}},
		{Cluster: "test", Node: "c", At: noon, Targets: []gopprof.TargetState{watchedTarget("shop", "elsewhere", nil)}},
		{Cluster: "prod", Node: "d", At: noon.Add(-time.Hour), Targets: []gopprof.TargetState{watchedTarget("shop", "web-2", nil, gopprof.ReasonFired)}},
	}
	const want = "NAME|NODE|STATE|CPU|MEMORY|AGE|\n" +
		"odd\uFFFD[31m|a|invalid_endpoint|||10s|\n" +
		"web-1.web|a|paused|||10s|\n" +
		"web-2.web|b|cooldown|93%|96Mi|20s|"
	if got := text(get[metav1.Table](s, inShop+"targets", tableFirst), false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	all := get[targetList](s, anywhere+"targets", "application/json")
	if len(all.Items) != 4 || all.Kind != "TargetList" || all.Items[0].Name != "till-1.web" || all.Items[0].State != gopprof.ReasonBelowThreshold {
		t.Errorf("%+v", all)
	}
	one := get[target](s, inShop+"targets/web-2.web", "application/json")
	if one.Kind != "Target" || one.Node != "b" || one.Target == nil || one.Labels["app"] != "web" || one.Refused != nil {
		t.Errorf("%+v", one)
	}
	if one := get[target](s, inShop+"targets/odd\x1b[31m", "application/json"); one.Refused == nil || one.Target != nil || one.Detail != "port\n1" {
		t.Errorf("%+v", one)
	}
}

func TestStateOf(t *testing.T) {
	for want, c := range map[gopprof.Reason]gopprof.TargetState{
		gopprof.ReasonRuleOff: watchedTarget("a", "b", nil), gopprof.ReasonGone: {Gone: true, Rules: []gopprof.RuleState{{Reason: gopprof.ReasonFired}}},
		gopprof.ReasonFired:       watchedTarget("a", "b", nil, gopprof.ReasonCooldown, gopprof.ReasonFired, gopprof.ReasonNoLimit),
		gopprof.ReasonSeriesStale: watchedTarget("a", "b", nil, gopprof.ReasonFired, gopprof.ReasonSeriesStale),
	} {
		if got := stateOf(gopprof.NodeState{}, c); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
