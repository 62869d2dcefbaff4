// Package manifests checks what manifests/ would put into a cluster, without one: every
// kustomization is built, every object decoded as strictly as the API server does, and
// what the text promises (rights, security contexts, references, configurations that the
// programs accept) is looked at.
//
// The tree's manifests enter; nothing leaves.
package manifests

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/gopprof/gopprof/test/parts"
)

// Build returns what `kustomize build` makes of a directory of the tree.
func Build(dir string) ([]byte, error) {
	kustomize, err := parts.Binary("kustomize")
	if err != nil {
		return nil, err
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(kustomize, "build", dir)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("building %q: %w: %s", dir, err, errs.String())
	}
	return out.Bytes(), nil
}

// Decode returns the objects of a stream of YAML documents. An unknown field, or one that
// stands twice, is an error.
func Decode(stream []byte) ([]runtime.Object, error) {
	types := runtime.NewScheme()
	if err := scheme.AddToScheme(types); err != nil {
		return nil, err
	}
	types.AddKnownTypes(apiRegistration, &APIService{})
	decoder := serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
	var out []runtime.Object
	for doc := range strings.SplitSeq("\n"+string(stream), "\n---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		if strings.Contains("\n"+doc, "\napiVersion: monitoring.coreos.com/v1\n") {
			if err := checkMonitor(doc); err != nil {
				return nil, fmt.Errorf("decoding %.80q: %w", strings.TrimSpace(doc), err)
			}
			continue // checked; the product does not link its types
		}
		o, _, err := decoder.Decode([]byte(doc), nil, nil)
		if err != nil {
			return nil, fmt.Errorf("decoding %.80q: %w", strings.TrimSpace(doc), err)
		}
		out = append(out, o)
	}
	return out, nil
}

// checkMonitor decodes an object of the Prometheus operator with the operator's own types.
func checkMonitor(doc string) error {
	monitors, err := parts.Binary("monitors")
	if err != nil {
		return err
	}
	cmd := exec.Command(monitors)
	cmd.Stdin = strings.NewReader(doc)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// Manifests returns the path of manifests/.
func Manifests() (string, error) {
	root, err := parts.Root()
	return filepath.Join(root, "manifests"), err
}
