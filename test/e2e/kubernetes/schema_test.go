package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// schema has the API server judge, without storing anything, what a user applies: the default
// overlay with every component that needs nothing else installed. Under other names, because
// the e2e overlay's are there.
func schema(t *testing.T) {
	manifests := filepath.Join(root(t), "manifests")
	all, err := os.ReadDir(filepath.Join(manifests, "components"))
	must(t, err)
	for _, c := range all {
		switch c.Name() {
		case "service-monitor", "alerting": // their types are the Prometheus operator's: test/manifests holds them to its
			continue
		case "apiservice": // in the overlay already, and so looked at with every other
			continue
		}
		t.Run(c.Name(), func(t *testing.T) {
			dir := t.TempDir()
			here, err := filepath.Rel(dir, manifests)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), fmt.Appendf(nil,
				"namespace: default\nnameSuffix: -schema\nresources: [%s/overlays/default]\ncomponents: [%s/components/%s]\n", here, here, c.Name()), 0o600))
			run(within(t, time.Minute), t, "apply", "--dry-run=server", "--validate=strict", "-k", dir)
		})
	}
}
