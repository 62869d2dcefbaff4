package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// evict asks the API server to move a pod, as a drain does.
func evict(ctx context.Context, t *testing.T, namespace, pod string) {
	t.Helper()
	_, err := kubectlWith(ctx, fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, namespace),
		"create", "--raw", "/api/v1/namespaces/"+namespace+"/pods/"+pod+"/eviction", "-f", "-")
	must(t, err)
}

// drained empties the node that the aggregator is on, while a pod of another node gets hot.
func (c *cluster) drained(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	node := run(ctx, t, "-n", "gopprof", "get", "pod", "gopprof-aggregator-0", "-o", "jsonpath={.spec.nodeName}")
	t.Cleanup(func() { _, _ = kubectl(context.WithoutCancel(t.Context()), "uncordon", node) })
	run(ctx, t, "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s")
	run(ctx, t, "-n", shop, "rollout", "status", "deployment/pantry", "--timeout=120s")
	hot := pods(ctx, t, shop, "app=pantry")[0]
	if hot.Node == node {
		t.Fatalf("pod %s runs on the drained node", hot.Name)
	}
	heat(ctx, t, hot.Name)
	run(ctx, t, "uncordon", node) // where volumes belong to their nodes, the aggregator returns only now
	run(ctx, t, "-n", "gopprof", "rollout", "status", "statefulset/gopprof-aggregator", "--timeout=180s")
	report := c.await(ctx, t, "?workload=pantry")
	checkTarget(t, report.Capture.Target, hot)
	if found, err := c.reports(ctx, "?workload=pantry"); err != nil || len(found) != 1 {
		t.Errorf("%d reports of pantry, %v; want 1", len(found), err)
	}
}

// apiServerAway stops the API server while a pod gets hot: its report is made meanwhile, and
// nothing of gopprof restarts. How an API server is stopped is the cluster's own business.
func (c *cluster) apiServerAway(t *testing.T) {
	stop, start := os.Getenv("APISERVER_STOP"), os.Getenv("APISERVER_START")
	if stop == "" || start == "" {
		t.Skip("needs APISERVER_STOP and APISERVER_START (test/e2e/README.md)")
	}
	away, err := time.ParseDuration(cmp.Or(os.Getenv("APISERVER_AWAY"), "5m"))
	must(t, err)
	ctx := within(t, away+8*time.Minute)
	c.awaitTargets(ctx, t, "larder", 2)
	before := restarts(ctx, t)
	hot := pods(ctx, t, shop, "app=larder")[0]
	heat(ctx, t, hot.Name)
	shell(ctx, t, stop)
	back := func() { shell(context.WithoutCancel(ctx), t, start) }
	t.Cleanup(back)
	select { // the outage itself is what is measured
	case <-time.After(away):
	case <-ctx.Done():
	}
	returned := time.Now()
	back()
	report := c.await(ctx, t, "?workload=larder")
	t.Logf("measured: API server away for %s; report made %s before it returned", away, returned.Sub(report.MadeAt).Round(time.Second))
	checkTarget(t, report.Capture.Target, hot)
	if report.MadeAt.After(returned) {
		t.Errorf("the report was made %s after the API server returned, want before", report.MadeAt.Sub(returned))
	}
	poll(ctx, t, func() error { _, err := kubectl(ctx, "-n", "gopprof", "get", "pods"); return err })
	if after := restarts(ctx, t); after != before {
		t.Errorf("restarts were %q, are %q", before, after)
	}
	if found, err := c.reports(ctx, "?workload=larder"); err != nil || len(found) != 1 {
		t.Errorf("%d reports of larder, %v; want 1", len(found), err)
	}
}

// restarts names gopprof's pods with how often their containers were restarted.
func restarts(ctx context.Context, t *testing.T) string {
	t.Helper()
	return run(ctx, t, "-n", "gopprof", "get", "pods", "-o", `jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].restartCount}{"\n"}{end}`)
}

func shell(ctx context.Context, t *testing.T, command string) {
	t.Helper()
	if out, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, strings.TrimSpace(string(out)))
	}
}
