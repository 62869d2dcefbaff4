package kubernetes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/rest"
)

// connection says how the API server is reached: as the service account of the agent's
// pod, or as a kubeconfig file says.
func connection(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	data, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	var f kubeconfigFile
	if err := yaml.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("kubeconfig %q: %w", kubeconfig, err)
	}
	c, err := f.connection(filepath.Dir(kubeconfig))
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %q: %w", kubeconfig, err)
	}
	return c, nil
}

// kubeconfigFile is what is read of a kubeconfig: client-go's own reader wants a package
// for command lines, and the agent's kubeconfig is for development only.
type kubeconfigFile struct {
	CurrentContext string `yaml:"current-context"`
	Contexts       []struct {
		Name    string
		Context struct{ Cluster, User string }
	}
	Clusters []struct {
		Name    string
		Cluster struct {
			Server     string
			CAFile     string `yaml:"certificate-authority"`
			CAData     base64 `yaml:"certificate-authority-data"`
			ServerName string `yaml:"tls-server-name"`
			Insecure   bool   `yaml:"insecure-skip-tls-verify"`
		}
	}
	Users []struct {
		Name string
		User struct {
			Token     string
			TokenFile string    `yaml:"tokenFile"`
			CertFile  string    `yaml:"client-certificate"`
			CertData  base64    `yaml:"client-certificate-data"`
			KeyFile   string    `yaml:"client-key"`
			KeyData   base64    `yaml:"client-key-data"`
			Exec      yaml.Node `yaml:"exec"`
		}
	}
}

// base64 is bytes as YAML holds them: yaml.v3 decodes only what is tagged !!binary.
type base64 []byte

// UnmarshalYAML implements yaml.Unmarshaler.
func (b *base64) UnmarshalYAML(n *yaml.Node) error {
	n.Tag = "!!binary"
	var s string
	err := n.Decode(&s)
	*b = base64(s)
	return err
}

var errExec = errors.New("its user is authenticated by a program (exec), which an agent does not start")

func (f kubeconfigFile) connection(dir string) (*rest.Config, error) {
	cluster, user := "", ""
	for _, c := range f.Contexts {
		if c.Name == f.CurrentContext {
			cluster, user = c.Context.Cluster, c.Context.User
		}
	}
	c := &rest.Config{}
	for _, named := range f.Clusters {
		if named.Name == cluster {
			s := named.Cluster
			c.Host = s.Server
			c.TLSClientConfig = rest.TLSClientConfig{CAFile: from(dir, s.CAFile), CAData: s.CAData, ServerName: s.ServerName, Insecure: s.Insecure}
		}
	}
	if c.Host == "" {
		return nil, fmt.Errorf("no server for the current context %q", f.CurrentContext)
	}
	for _, named := range f.Users {
		if named.Name != user {
			continue
		}
		u := named.User
		if !u.Exec.IsZero() {
			return nil, errExec
		}
		c.BearerToken, c.BearerTokenFile = u.Token, from(dir, u.TokenFile)
		c.CertFile, c.CertData = from(dir, u.CertFile), u.CertData
		c.KeyFile, c.KeyData = from(dir, u.KeyFile), u.KeyData
	}
	return c, nil
}

// from resolves a path as kubectl does: relative to the kubeconfig.
func from(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
