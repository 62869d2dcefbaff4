package kubernetes

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// cost tells what gopprof's pods use on each node, probes included, as the kubelets see it.
func (c *cluster) cost(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	seen := 0
	for node := range strings.FieldsSeq(run(ctx, t, "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")) {
		var summary struct {
			Pods []struct {
				PodRef struct{ Name, Namespace string }
				CPU    struct{ UsageNanoCores float64 }
				Memory struct{ WorkingSetBytes float64 }
			}
		}
		must(t, json.Unmarshal([]byte(run(ctx, t, "get", "--raw", "/api/v1/nodes/"+node+"/proxy/stats/summary")), &summary))
		for _, p := range summary.Pods {
			if p.PodRef.Namespace == "gopprof" {
				seen++
				t.Logf("measured: %s on %s: %.1f millicores, %.0f MiB", p.PodRef.Name, node, p.CPU.UsageNanoCores/1e6, p.Memory.WorkingSetBytes/(1<<20))
			}
		}
	}
	if seen < 2 {
		t.Errorf("the kubelets know of %d pods of gopprof", seen)
	}
}
