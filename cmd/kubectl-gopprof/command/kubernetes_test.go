package command

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	gateway     = "/apis/gopprof.io/v1/gateway/v1/proxy/"
	gatewayShop = "/apis/gopprof.io/v1/namespaces/shop/gateway/v1/proxy/"
)

// kubeconfig starts an API server that answers as the scene's server, and names it and
// namespace shop.
func (s *scene) kubeconfig(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: r2d2}}]
contexts: [{name: here, context: {cluster: c, user: u, namespace: shop}}]
`, server.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestThroughKubernetes(t *testing.T) {
	s := newScene(t)
	asked := gopprof.Manual{Pod: "web-1"}
	s.on("POST "+gatewayShop+"captures", answer(202, operation(asked, waiting("web-1"))))
	s.on("GET "+gatewayShop+"operations/"+operationID+"/events", events(operation(asked, storedAs("web-1", reportID))))
	s.on("GET "+gatewayShop+"reports/"+reportID, answer(200, report(reportID, "web-1")))
	s.on("PUT "+gateway+"pause", answer(200, api.PauseState{Pause: gopprof.Pause{Paused: true}}))
	s.on("GET "+gateway+"targets", answer(200, api.TargetList{}))
	file := s.kubeconfig(t)
	code, out, errs := s.bare("capture", "web-1", "--kubeconfig", file)
	if code != 0 || !strings.Contains(out, reportID) || !strings.Contains(s.got()[0].body, `"namespace":"shop"`) || s.got()[0].token != "Bearer r2d2" {
		t.Errorf("code %d, %v: %s%s", code, s.calls(), out, errs)
	}
	t.Setenv("KUBECONFIG", file)
	for _, args := range [][]string{{"pause"}, {"targets", "-A"}} {
		if code, _, errs := s.bare(args...); code != 0 {
			t.Errorf("%v: code %d: %s", args, code, errs)
		}
	}
	if code, _, errs := s.bare("capture", "web-1", "-A"); code != exitUsage {
		t.Errorf("code %d: %s", code, errs)
	}
	if calls := s.calls(); !slices.Contains(calls, "GET "+gateway+"targets") {
		t.Errorf("%v", calls)
	}
	if code, _, errs := s.bare("open", reportID, "--web", "-n", "shop"); code != 0 {
		t.Errorf("code %d: %s", code, errs)
	}
}

func TestAClusterWithoutGopprof(t *testing.T) {
	s := newScene(t)
	file := s.kubeconfig(t)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		code   int
		want   string
	}{
		"not installed": {http.NotFound, exitUnreachable, "its APIService is not installed"},
		"forbidden": {answer(403, map[string]any{"kind": "Status", "message": `User "ann" cannot get resource "gateway/proxy"`, "code": 403}),
			exitRefused, `User "ann" cannot get`},
		"down": {answer(503, map[string]any{"kind": "Status", "message": "error trying to reach service", "code": 503}), exitUnreachable, "kubectl get apiservice"},
	} {
		s.on("GET "+gatewayShop+"reports", c.answer)
		if code, _, errs := s.bare("reports", "--kubeconfig", file); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s: code %d: %s", name, code, errs)
		}
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	if code, _, errs := s.bare("reports"); code != exitUsage || !strings.Contains(errs, "no kubeconfig") {
		t.Errorf("code %d: %s", code, errs)
	}
}

// TestForHosts: the same program called gopprof asks this machine.
func TestForHosts(t *testing.T) {
	s := newScene(t)
	s.world.Name = "gopprof"
	s.world.Getenv = func(name string) string { return map[string]string{"GOPPROF_SERVER": s.server.URL}[name] }
	s.on("GET "+api.PathReports, answer(200, api.ReportList{}))
	if code, _, errs := s.bare("reports"); code != 0 {
		t.Errorf("code %d: %s", code, errs)
	}
	s.world.Getenv = func(string) string { return "" }
	c := &commands{World: s.world}
	if server, err := c.server(); err != nil || server.Name != "http://127.0.0.1:7480" {
		t.Errorf("%+v, %v", server, err)
	}
}
