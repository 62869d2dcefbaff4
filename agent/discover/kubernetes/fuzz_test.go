package kubernetes

import (
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// FuzzKubeconfig: whatever a kubeconfig holds, it names a server and files where kubectl
// would look for them, and starts no program.
func FuzzKubeconfig(f *testing.F) {
	const file = "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://10.0.0.1', certificate-authority-data: QUI=}}]\n"
	f.Add([]byte(file + "users: [{name: u, user: {token: t, client-key: ../key}}]"))
	f.Add([]byte(file + "users: [{name: u, user: {exec: {command: aws}}}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("clusters: [{cluster: {certificate-authority-data: '%%'}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var k kubeconfigFile
		if yaml.Unmarshal(data, &k) != nil {
			return
		}
		c, err := k.connection("/etc/gopprof")
		if err != nil {
			return
		}
		if c.Host == "" || c.ExecProvider != nil {
			t.Errorf("took %+v", c)
		}
		for _, path := range []string{c.CAFile, c.CertFile, c.KeyFile, c.BearerTokenFile} {
			if path != "" && !filepath.IsAbs(path) && !strings.HasPrefix(path, "/etc/gopprof") {
				t.Errorf("file %q", path)
			}
		}
	})
}
