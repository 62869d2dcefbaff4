package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// rights tries what the tokens of the service accounts must not be good for.
func (c *cluster) rights(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	checkCan(ctx, t)
	tls := clusterTLS(ctx, t)

	for _, account := range [][2]string{{"gopprof-e2e", "default"}, {"gopprof", "gopprof-aggregator"}} {
		nc, err := connect(ctx, t, tls, token(ctx, t, account[0], account[1]))
		if err == nil {
			nc.Close()
		}
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("the token of %s/%s: %v, want an authorization violation", account[0], account[1], err)
		}
	}
	agents := pods(ctx, t, "gopprof", "app.kubernetes.io/name=gopprof-agent")
	mine := agents[0]
	nc, err := connect(ctx, t, tls, token(ctx, t, "gopprof", "gopprof-agent", "--bound-object-kind=Pod", "--bound-object-name="+mine.Name, "--bound-object-uid="+mine.UID))
	if err != nil {
		t.Fatalf("an agent's own token: %v", err)
	}
	defer nc.Close()
	for _, subject := range []string{"gopprof.v1.state.e2e.another-node", "gopprof.v1.report.e2e.shop.x.y.z", "$JS.API.STREAM.LIST", "gopprof.v1.agent.e2e." + mine.Node + ".capture"} {
		if !denied(t, nc, func() error { return nc.Publish(subject, nil) }) {
			t.Errorf("the agent of %s may publish to %s", mine.Node, subject)
		}
	}
	if !denied(t, nc, func() error { _, err := nc.SubscribeSync("gopprof.v1.>"); return err }) {
		t.Error("an agent may read everything")
	}
}

// checkCan asks the API server what the accounts may do.
func checkCan(ctx context.Context, t *testing.T) {
	t.Helper()
	const agent, aggregator = "system:serviceaccount:gopprof:gopprof-agent", "system:serviceaccount:gopprof:gopprof-aggregator"
	for _, c := range []struct {
		who, what string
		want      bool
	}{
		{agent, "list pods -A", true}, {agent, "watch pods -A", true},
		{agent, "get secrets -A", false}, {agent, "get configmaps -n gopprof", false}, {agent, "create pods -n gopprof", false},
		{agent, "get pods --subresource=log -A", false}, {agent, "create pods --subresource=exec -A", false}, {agent, "get nodes", false},
		{agent, "create serviceaccounts --subresource=token -n gopprof", false}, {agent, "get reports.gopprof.io -A", false}, {agent, "create captures.gopprof.io -A", false},
		{aggregator, "get pods -A", true}, {aggregator, "get namespaces", true}, {aggregator, "create tokenreviews.authentication.k8s.io", true},
		{aggregator, "patch configmaps/gopprof-ca -n gopprof", true}, {aggregator, "patch configmaps/another -n gopprof", false},
		{aggregator, "create subjectaccessreviews.authorization.k8s.io", true}, {aggregator, "patch apiservices/v1.gopprof.io", true},
		{aggregator, "get configmaps/extension-apiserver-authentication -n kube-system", true}, {aggregator, "get configmaps/another -n kube-system", false},
		{aggregator, "patch apiservices/v1.apps", false}, {aggregator, "create apiservices", false}, {aggregator, "create captures.gopprof.io -A", false},
		{aggregator, "create configmaps -n gopprof", false}, {aggregator, "get secrets -A", false}, {aggregator, "delete pods -A", false},
	} {
		out, _ := kubectl(ctx, append([]string{"auth", "can-i", "--as=" + c.who}, strings.Fields(c.what)...)...)
		if got := strings.TrimSpace(out) == "yes"; got != c.want {
			t.Errorf("%s may %s: %t, want %t", c.who, c.what, got, c.want)
		}
	}
}

func token(ctx context.Context, t *testing.T, namespace, account string, more ...string) string {
	t.Helper()
	return strings.TrimSpace(run(ctx, t, append([]string{"-n", namespace, "create", "token", account, "--audience=gopprof", "--duration=10m"}, more...)...))
}

// clusterTLS trusts what the aggregator wrote into its ConfigMap.
func clusterTLS(ctx context.Context, t *testing.T) *tls.Config {
	t.Helper()
	var m struct{ Data map[string]string }
	must(t, json.Unmarshal([]byte(run(ctx, t, "-n", "gopprof", "get", "configmap", "gopprof-ca", "-o", "json")), &m))
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(m.Data["ca.crt"])) {
		t.Fatalf("ConfigMap gopprof-ca holds no certificate: %q", m.Data)
	}
	return &tls.Config{RootCAs: pool, ServerName: "gopprof-aggregator.gopprof.svc", MinVersion: tls.VersionTLS12}
}

// connect reaches the aggregator's NATS over a port-forward of its own: kubectl ends one
// whose connection the server has closed.
func connect(ctx context.Context, t *testing.T, c *tls.Config, token string) (*nats.Conn, error) {
	t.Helper()
	f, err := startForward(ctx, "gopprof", "pod/gopprof-aggregator-0", 4222)
	must(t, err)
	t.Cleanup(f.stop)
	return nats.Connect("tls://"+f.addr, nats.Secure(c), nats.Token(token), nats.NoReconnect(), nats.Timeout(10*time.Second), nats.CustomInboxPrefix("_INBOX.nobody"))
}

// denied tells whether NATS refuses what f does.
func denied(t *testing.T, nc *nats.Conn, f func() error) bool {
	t.Helper()
	refused := make(chan error, 16)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err })
	must(t, f())
	must(t, nc.FlushTimeout(10*time.Second))
	select {
	case err := <-refused:
		return errors.Is(err, nats.ErrPermissionViolation) || strings.Contains(strings.ToLower(err.Error()), "permissions violation")
	case <-time.After(2 * time.Second):
		return false
	}
}
