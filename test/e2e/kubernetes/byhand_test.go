package kubernetes

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/browser"
)

// developer is somebody with the role "edit" in the shop and no other right, on a machine
// with kubectl, its plugin and Go.
type developer struct {
	dir        string // of what is saved
	kubeconfig string
	plugin     string // directory of kubectl-gopprof
}

// newDeveloper makes one, and the command as `go install` does.
func newDeveloper(ctx context.Context, t *testing.T) developer {
	t.Helper()
	const name = "developer"
	run(ctx, t, "-n", "gopprof-e2e", "create", "serviceaccount", name)
	cleanup(t, "-n", "gopprof-e2e", "delete", "serviceaccount", name, "--ignore-not-found")
	run(ctx, t, "-n", shop, "create", "rolebinding", name, "--clusterrole=edit", "--serviceaccount=gopprof-e2e:"+name)
	d := developer{dir: t.TempDir(), plugin: t.TempDir()}
	d.kubeconfig = filepath.Join(d.dir, "kubeconfig")
	view := run(ctx, t, "config", "view", "--raw", "--minify", "--flatten", "-o", "json")
	must(t, os.WriteFile(d.kubeconfig, []byte(view), 0o600))
	user := strings.TrimSpace(run(ctx, t, "config", "view", "--minify", "-o", "jsonpath={.contexts[0].context.user}"))
	for _, args := range [][]string{
		{"config", "unset", "users." + user},
		{"config", "set-credentials", name, "--token=" + apiToken(ctx, t, name, "1h")},
		{"config", "set-context", "--current", "--user=" + name, "--namespace=" + shop},
	} {
		_, err := d.run(ctx, "kubectl", args...)
		must(t, err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", d.plugin, "./cmd/kubectl-gopprof")
	build.Dir = root(t)
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return d
}

// command is a program that the developer starts.
func (d developer) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, program, args...)
	c.Env = append(os.Environ(), "KUBECONFIG="+d.kubeconfig, "PATH="+d.plugin+":"+os.Getenv("PATH"), "PPROF_TMPDIR="+d.dir, "NO_COLOR=1")
	c.Dir = d.dir
	return c
}

func (d developer) run(ctx context.Context, program string, args ...string) (string, error) {
	out, err := d.command(ctx, program, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w:\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// json runs the command for a program to read.
func (d developer) json(ctx context.Context, t *testing.T, into any, args ...string) {
	t.Helper()
	out, err := d.command(ctx, "kubectl", append(append([]string{"gopprof"}, args...), "-o", "json")...).Output()
	must(t, err)
	must(t, json.Unmarshal(out, into))
}

// gopprof runs the command as kubectl's plugin.
func (d developer) gopprof(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	out, err := d.run(ctx, "kubectl", append([]string{"gopprof"}, args...)...)
	must(t, err)
	return out
}

// isProfile reads a file by the tool that it is for.
func (d developer) isProfile(ctx context.Context, t *testing.T, what string) string {
	t.Helper()
	out, err := d.run(ctx, "go", "tool", "pprof", "-top", what)
	if err != nil || !strings.Contains(out, "flat%") {
		t.Errorf("%s: %v\n%s", what, err, out)
	}
	return out
}

// byHand is what a developer does who is bound to one namespace.
func (c *cluster) byHand(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	c.awaitTargets(ctx, t, "band", 6)
	d := newDeveloper(ctx, t)
	poll(ctx, t, func() error { // RBAC takes a moment
		_, err := d.run(ctx, "kubectl", "gopprof", "targets")
		return err
	})
	band := pods(ctx, t, shop, "app=band")
	t.Run("one pod", func(t *testing.T) {
		out := d.gopprof(ctx, t, "capture", "pod/"+band[0].Name, "--kind", "cpu", "--seconds", "2", "-o", "one.pb.gz")
		t.Log(out)
		d.isProfile(ctx, t, "one.pb.gz")
	})
	t.Run("group", func(t *testing.T) { d.group(ctx, t, band) })
	t.Run("cancel", func(t *testing.T) { d.cancels(ctx, t, band[1].Name) })
	t.Run("another namespace", func(t *testing.T) {
		out, err := d.run(ctx, "kubectl", "gopprof", "capture", "pod/x", "-n", "gopprof-e2e")
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != 3 {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("with nothing installed", func(t *testing.T) { d.bare(ctx, t, band) })
	t.Run("pause", func(t *testing.T) { d.pauses(ctx, t, band[0].Name) })
}

// group profiles six pods of which one is different, and looks for its name.
func (d developer) group(ctx context.Context, t *testing.T, band []podOf) {
	odd := band[3].Name
	heat(ctx, t, odd)
	out := d.gopprof(ctx, t, "capture", "deploy/band", "--kind", "cpu", "--seconds", "8", "--merge", "-o", "band.pb.gz")
	t.Log(out)
	if !strings.Contains(out, odd) || strings.Count(out, "stored") < 6 {
		t.Errorf("the group:\n%s", out)
	}
	top := d.isProfile(ctx, t, "band.pb.gz")
	var list struct{ Operations []gopprof.Operation }
	d.json(ctx, t, &list, "operations")
	if len(list.Operations) == 0 || len(list.Operations[0].Captures) != 6 {
		t.Fatalf("operations: %+v", list)
	}
	out, err := kubectl(ctx, "get", "--raw", "/apis/gopprof.io/v1/namespaces/"+shop+"/gateway/v1/proxy/operations/"+list.Operations[0].ID+"/merged")
	must(t, err)
	var merged struct {
		Kinds []struct {
			Outliers []struct{ Pod, Summary string }
		}
	}
	must(t, json.Unmarshal([]byte(out), &merged))
	if len(merged.Kinds) != 1 || len(merged.Kinds[0].Outliers) == 0 || merged.Kinds[0].Outliers[0].Pod != odd {
		t.Errorf("outliers: %+v, want %s\n%s", merged, odd, top)
	}
}

// cancels stops a long capture and asks the target itself whether its profiler is free.
func (d developer) cancels(ctx context.Context, t *testing.T, pod string) {
	var op gopprof.Operation
	d.json(ctx, t, &op, "capture", "pod/"+pod, "--kind", "cpu", "--seconds", "50", "--detach")
	free := func() error {
		_, err := kubectl(ctx, "get", "--raw", "/api/v1/namespaces/"+shop+"/pods/"+pod+":6060/proxy/debug/pprof/profile?seconds=1")
		return err
	}
	poll(ctx, t, func() error {
		if free() == nil {
			return errors.New("it is not profiled yet")
		}
		return nil
	})
	began := time.Now()
	d.gopprof(ctx, t, "cancel", op.ID)
	cancelled := time.Since(began)
	if err := free(); err != nil {
		t.Errorf("the profiler is held still, %s after: %v", time.Since(began), err)
	}
	t.Logf("measured: cancelled in %s, with the start of kubectl", cancelled.Round(time.Millisecond))
}

var serving = regexp.MustCompile(`Starting to serve on (127\.0\.0\.1:\d+)`)

// bare uses kubectl and Go's tool alone.
func (d developer) bare(ctx context.Context, t *testing.T, band []podOf) {
	const at = "/apis/gopprof.io/v1/namespaces/" + shop
	profile, err := d.command(ctx, "kubectl", "get", "--raw", at+"/pods/"+band[0].Name+"/proxy/debug/pprof/profile?seconds=2").Output()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(d.dir, "raw.pb.gz"), profile, 0o600))
	d.isProfile(ctx, t, "raw.pb.gz")
	if out, err := d.run(ctx, "kubectl", "get", "--raw", "/apis/gopprof.io/v1/namespaces/gopprof-e2e/pods/x/proxy/debug/pprof/heap"); err == nil || !strings.Contains(out, "orbidden") {
		t.Errorf("another namespace: %v\n%s", err, out)
	}
	// It goes on until the browser has ended, which may be loading a picture at the end.
	proxy := d.command(context.WithoutCancel(ctx), "kubectl", "proxy", "--port=0")
	lines, err := proxy.StdoutPipe()
	must(t, err)
	must(t, proxy.Start())
	t.Cleanup(func() { _ = proxy.Process.Kill(); _ = proxy.Wait() })
	for s := bufio.NewScanner(lines); s.Scan(); {
		if m := serving.FindStringSubmatch(s.Text()); m != nil {
			d.isProfile(ctx, t, "http://"+m[1]+at+"/pods/"+band[0].Name+"/proxy/debug/pprof/profile?seconds=2")
			d.isProfile(ctx, t, "http://"+m[1]+at+"/deployments/band/proxy/debug/pprof/heap")
			d.pages(ctx, t, m[1], at+"/gateway/pages/proxy", band[0].Name)
			return
		}
	}
	t.Error("kubectl proxy did not start")
}

// pages walks through `kubectl proxy` in a real browser, with the developer's own rights: a
// report, its flame graph, and a capture by hand until its report. Another site's page could
// not ask for one.
func (d developer) pages(ctx context.Context, t *testing.T, host, at, pod string) {
	b := browser.Start(t, browser.Options{Hosts: []string{host}})
	tab := b.Open("http://" + host + at)
	tab.Wait(`location.pathname.endsWith("/gateway/pages/proxy/reports") && document.querySelectorAll("tbody tr").length > 0`)
	tab.Navigate("http://" + host + at + "/reports?kind=cpu&pod=" + pod)
	tab.Click(browser.CSS(`tbody tr:first-child td:nth-child(3) a`))
	tab.Wait(`!!document.querySelector("#cpu")`)
	tab.Wait(`[...document.images].every(i => { i.loading = "eager"; return i.complete && i.naturalWidth > 0 })`)
	tab.Click(browser.CSS(`#cpu a[href$="/flamegraph"]`))
	tab.Wait(`document.body.innerText.includes("root")`)
	tab.Navigate("http://" + host + at + "/operations/new?what=pod&name=" + pod)
	tab.Fill(browser.CSS(`input[name="seconds"]`), "1")
	tab.Click(browser.Role("button", "Profile now"))
	tab.Wait(`(document.querySelector("#live") || document.body).innerText.includes(": done.")`)
	tab.Click(browser.Role("link", "report"))
	tab.Wait(`(document.querySelector("h1") || document.body).innerText.includes("` + pod + `")`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+host+at+"/operations", strings.NewReader("what=pod&name="+pod))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	if _ = answer.Body.Close(); answer.StatusCode != http.StatusForbidden {
		t.Errorf("from another site's page: %d", answer.StatusCode)
	}
}

// pauses is refused to a developer; whoever may stops everything.
func (d developer) pauses(ctx context.Context, t *testing.T, pod string) {
	if out, err := d.run(ctx, "kubectl", "gopprof", "pause"); err == nil {
		t.Errorf("a developer paused everything:\n%s", out)
	}
	operator := developer{dir: d.dir, kubeconfig: os.Getenv("KUBECONFIG"), plugin: d.plugin}
	began := time.Now()
	t.Log(operator.gopprof(ctx, t, "pause", "--why", "a test"))
	t.Logf("measured: all agents paused within %s", time.Since(began).Round(time.Millisecond))
	defer operator.gopprof(ctx, t, "resume")
	if out, err := d.run(ctx, "kubectl", "gopprof", "capture", "pod/"+pod); err == nil || !strings.Contains(out, "a test") {
		t.Errorf("while it is paused: %v\n%s", err, out)
	}
}
