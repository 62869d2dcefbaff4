package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
)

// shop is the namespace of workloads.yaml.
const shop = "gopprof-e2e-shop"

// cluster is gopprof installed in the cluster of KUBECONFIG.
type cluster struct {
	api      *client
	expiring []credential // of somebody who may do everything
	expired  time.Time    // when it will have
}

// install puts gopprof and the services into the cluster, and takes them out at the end.
func install(t *testing.T) *cluster {
	t.Helper()
	ctx := within(t, 10*time.Minute)
	if cordoned := run(ctx, t, "get", "nodes", "-o", `jsonpath={.items[?(@.spec.unschedulable==true)].metadata.name}`); cordoned != "" {
		t.Fatalf("cordoned, by an earlier run that was cut off: kubectl uncordon %s", cordoned)
	}
	overlay := filepath.Join(root(t), "manifests", "overlays", "e2e")
	t.Cleanup(func() { nothingLeft(t) }) // runs last
	if !hasDefaultStorage(ctx, t) {
		volume, err := os.ReadFile("volume.yaml")
		must(t, err)
		_, err = kubectlWith(ctx, strings.ReplaceAll(string(volume), "RUN", time.Now().UTC().Format("20060102-150405")), "apply", "-f", "-")
		must(t, err)
		cleanup(t, "delete", "-f", "volume.yaml", "--ignore-not-found", "--timeout=60s")
	}
	cleanup(t, "delete", "-k", overlay, "--ignore-not-found", "--timeout=180s")
	cleanup(t, "delete", "-f", "workloads.yaml", "--ignore-not-found", "--timeout=120s")
	// The API server's own schema, and its defaults: unknown fields are errors.
	run(ctx, t, "apply", "--validate=strict", "-k", overlay)
	run(ctx, t, "apply", "--validate=strict", "-f", "workloads.yaml")
	started := time.Now()
	for _, what := range [][2]string{
		{"gopprof-e2e", "deployment/influxdb"}, {"gopprof-e2e", "deployment/inbox"},
		{"gopprof", "statefulset/gopprof-aggregator"}, {"gopprof", "daemonset/gopprof-agent"},
		{shop, "deployment/checkout"}, {shop, "deployment/catalog"}, {shop, "deployment/basket"}, {shop, "deployment/band"},
	} {
		run(ctx, t, "-n", what[0], "rollout", "status", what[1], "--timeout=300s")
	}
	t.Logf("measured: from applied to all ready %s", time.Since(started).Round(time.Second))
	c := &cluster{api: &client{token: strings.TrimSpace(run(ctx, t, "-n", "gopprof-e2e", "create", "token", "tester", "--audience=gopprof", "--duration=4h"))}}
	t.Cleanup(func() { c.api.forward.stop() })
	t.Cleanup(func() { c.tell(t) })
	return c
}

// tell prints what helps to understand a failure.
func (c *cluster) tell(t *testing.T) {
	if !t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
		{"-n", "gopprof", "logs", "-l", "app.kubernetes.io/part-of=gopprof", "--tail=100", "--prefix", "--all-containers"},
	} {
		out, err := kubectl(ctx, args...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func hasDefaultStorage(ctx context.Context, t *testing.T) bool {
	return strings.Contains(run(ctx, t, "get", "storageclass", "-o", `jsonpath={.items[*].metadata.annotations}`), `is-default-class":"true`)
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := parts.Root()
	must(t, err)
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func run(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	out, err := kubectl(ctx, args...)
	must(t, err)
	return out
}

// cleanup runs kubectl at the end, unless GOPPROF_E2E_KEEP asks for the ruins.
func cleanup(t *testing.T, args ...string) {
	t.Helper()
	t.Cleanup(func() {
		if os.Getenv("GOPPROF_E2E_KEEP") != "" {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 4*time.Minute)
		defer cancel()
		if _, err := kubectl(ctx, args...); err != nil {
			t.Error(err)
		}
	})
}

// poll calls f until it returns nil.
func poll(ctx context.Context, t *testing.T, f func() error) {
	t.Helper()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %v", err)
		case <-time.After(time.Second):
		}
	}
}

// nothingLeft looks for what is still there after everything was removed.
func nothingLeft(t *testing.T) {
	if os.Getenv("GOPPROF_E2E_KEEP") != "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	out, err := kubectl(ctx, "get", "namespaces,clusterroles,clusterrolebindings,priorityclasses,persistentvolumes,apiservices,csr", "-o", "name")
	if err != nil {
		t.Error(err)
	}
	for name := range strings.FieldsSeq(out) {
		if strings.Contains(name, "gopprof") || strings.Contains(name, "apiserver-profiler") {
			t.Errorf("%s is left", name)
		}
	}
}

// podOf is what the API server knows of a pod.
type podOf struct{ Name, Node, UID string }

func pods(ctx context.Context, t *testing.T, namespace, selector string) (out []podOf) {
	t.Helper()
	list := run(ctx, t, "-n", namespace, "get", "pods", "-l", selector, "--field-selector=status.phase=Running",
		"-o", `jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName} {.metadata.uid}{"\n"}{end}`)
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) == 3 {
			out = append(out, podOf{f[0], f[1], f[2]})
		}
	}
	if len(out) == 0 {
		t.Fatalf("no running pods %s in %s", selector, namespace)
	}
	return out
}

// ask posts to a burner by way of the API server.
func ask(ctx context.Context, t *testing.T, pod, request string) {
	t.Helper()
	_, err := kubectlWith(ctx, "", "create", "--raw", proxied(pod, request), "-f", "-")
	must(t, err)
}

// heat makes a burner use a whole core, or what its limit allows, until the test ends.
func heat(ctx context.Context, t *testing.T, pod string) {
	t.Helper()
	askUntilEnd(ctx, t, pod, "heat?cores=1", "cool")
}

// visit sends a burner ordinary visitors, who use a tenth of what its limit allows, until the
// test ends.
func visit(ctx context.Context, t *testing.T, pod string) {
	t.Helper()
	askUntilEnd(ctx, t, pod, "load?cores=0.03", "load?rate=0")
}

func askUntilEnd(ctx context.Context, t *testing.T, pod, request, atEnd string) {
	t.Helper()
	ask(ctx, t, pod, request)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, _ = kubectlWith(ctx, "", "create", "--raw", proxied(pod, atEnd), "-f", "-") // it may have gone
	})
}

func proxied(pod, request string) string {
	return "/api/v1/namespaces/" + shop + "/pods/" + pod + ":6060/proxy/" + request
}

// reports returns the reports that a query finds, newest first, but for those of pods that
// were captured to compare with.
func (c *cluster) reports(ctx context.Context, query string) ([]api.ReportSummary, error) {
	var list api.ReportList
	err := c.api.do(ctx, http.MethodGet, api.PathReports+query, nil, &list)
	ofSibling := func(r api.ReportSummary) bool { return r.Trigger == gopprof.TriggerSibling }
	return slices.DeleteFunc(list.Reports, ofSibling), err
}

// await waits for the first report that a query finds.
func (c *cluster) await(ctx context.Context, t *testing.T, query string) (report gopprof.Report) {
	t.Helper()
	poll(ctx, t, func() error {
		found, err := c.reports(ctx, query)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return errors.New("no report yet of " + query)
		}
		return c.api.do(ctx, http.MethodGet, api.PathReport(found[len(found)-1].ID), nil, &report)
	})
	return report
}

// states returns what all agents told last.
func (c *cluster) states(ctx context.Context) (api.TargetList, error) {
	var list api.TargetList
	err := c.api.do(ctx, http.MethodGet, api.PathTargets, nil, &list)
	return list, err
}

// awaitTargets waits until the agents tell of so many targets of a workload.
func (c *cluster) awaitTargets(ctx context.Context, t *testing.T, workload string, n int) {
	t.Helper()
	poll(ctx, t, func() error {
		list, err := c.states(ctx)
		if err != nil {
			return err
		}
		seen := 0
		for _, node := range list.Nodes {
			for _, s := range node.Targets {
				if s.Target.Namespace == shop && s.Target.Workload.Name == workload && len(s.Local) > 0 {
					seen++
				}
			}
		}
		if seen < n {
			return fmt.Errorf("the agents see %d targets of %s, want %d", seen, workload, n)
		}
		return nil
	})
}

// messages returns how many messages the owner got about a capture.
func messages(ctx context.Context, t *testing.T, capture string) (about int) {
	t.Helper()
	var all []json.RawMessage
	must(t, json.Unmarshal([]byte(run(ctx, t, "get", "--raw", "/api/v1/namespaces/gopprof-e2e/services/inbox:http/proxy/messages")), &all))
	for _, m := range all {
		if strings.Contains(string(m), capture) {
			about++
		}
	}
	return about
}
