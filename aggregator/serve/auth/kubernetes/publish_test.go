package kubernetes

import (
	"context"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	v1 "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	ktest "k8s.io/client-go/testing"

	"github.com/gopprof/gopprof/test/poll"
)

// certificate is no real one: only its shape counts here.
func certificate(text string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(text)})
}

// authority is a bundle that the test changes.
type authority struct {
	mu      sync.Mutex
	pem     []byte
	changed chan struct{}
}

func (a *authority) bundle() ([]byte, <-chan struct{}, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pem, a.changed, nil
}

func (a *authority) change(pem []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pem = pem
	close(a.changed)
	a.changed = make(chan struct{})
}

func cluster() *fake.Clientset {
	return fake.NewClientset(&v1.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Namespace: "gopprof", Name: "gopprof-ca"}, Data: map[string]string{"README": "written by the aggregator"},
	})
}

func runPublisher(t *testing.T, p *Publisher) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func published(t *testing.T, c *fake.Clientset) string {
	t.Helper()
	m, err := c.Tracker().Get(v1.SchemeGroupVersion.WithResource("configmaps"), "gopprof", "gopprof-ca")
	if err != nil {
		t.Fatal(err)
	}
	if m.(*v1.ConfigMap).Data["README"] == "" {
		t.Error("what else stands in the ConfigMap was removed")
	}
	return m.(*v1.ConfigMap).Data["ca.crt"]
}

// TestPublished: the ConfigMap has the bundle, has the next one soon, and gets it back when
// somebody empties it; patching by name is all that is ever done.
func TestPublished(t *testing.T) {
	c := cluster()
	a := &authority{pem: certificate("one"), changed: make(chan struct{})}
	reg := prometheus.NewRegistry()
	p := newPublisher(PublishConfig{ConfigMap: "gopprof/gopprof-ca"}, a.bundle, c.CoreV1(), zap.NewNop(), reg)
	p.every = 20 * time.Millisecond
	runPublisher(t, p)
	poll.Until(t, "the first", func() bool { return published(t, c) == string(certificate("one")) })
	both := append(certificate("one"), certificate("two")...)
	a.change(both)
	poll.Until(t, "the second", func() bool { return published(t, c) == string(both) })
	empty := &v1.ConfigMap{ObjectMeta: meta.ObjectMeta{Namespace: "gopprof", Name: "gopprof-ca"}, Data: map[string]string{"README": "x"}}
	if err := c.Tracker().Update(v1.SchemeGroupVersion.WithResource("configmaps"), empty, "gopprof"); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "it comes back", func() bool { return published(t, c) == string(both) })
	for _, x := range c.Actions() {
		if patch, ok := x.(ktest.PatchAction); !ok || patch.GetName() != "gopprof-ca" || patch.GetNamespace() != "gopprof" {
			t.Errorf("did %v", x)
		}
	}
	poll.Until(t, "the gauge", func() bool { return testutil.ToFloat64(p.current) == 1 })
}

func TestPublishingIsTriedAgain(t *testing.T) {
	c := cluster()
	var mu sync.Mutex
	left := 1
	c.PrependReactor("patch", "configmaps", func(ktest.Action) (bool, runtime.Object, error) {
		mu.Lock()
		defer mu.Unlock()
		left--
		return left >= 0, nil, errors.New("away")
	})
	a := &authority{pem: certificate("one")} // nobody tells of changes
	p := newPublisher(PublishConfig{ConfigMap: "gopprof/gopprof-ca"}, a.bundle, c.CoreV1(), zap.NewNop(), prometheus.NewRegistry())
	runPublisher(t, p)
	poll.Until(t, "it is written", func() bool { return published(t, c) == string(certificate("one")) })
	poll.Until(t, "it is counted", func() bool {
		return testutil.ToFloat64(p.published.WithLabelValues("failed")) == 1 && testutil.ToFloat64(p.published.WithLabelValues("ok")) == 1
	})
}

// TestFileIsPublished: a file goes before the own bundle, and nothing but certificates ever
// leaves it.
func TestFileIsPublished(t *testing.T) {
	c, file := cluster(), filepath.Join(t.TempDir(), "ca.crt")
	p := newPublisher(PublishConfig{ConfigMap: "gopprof/gopprof-ca", File: file}, nil, c.CoreV1(), zap.NewNop(), prometheus.NewRegistry())
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")})
	for name, content := range map[string][]byte{"nothing": nil, "no PEM": []byte("what"), "a key beside": append(certificate("one"), key...)} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := p.publish(t.Context()); err == nil || published(t, c) != "" {
			t.Errorf("%s: %v, %q", name, err, published(t, c))
		}
	}
	if err := os.WriteFile(file, append([]byte("issued by me\n"), certificate("one")...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.publish(t.Context()); err != nil || published(t, c) != string(certificate("one")) {
		t.Errorf("%v, %q", err, published(t, c))
	}
}
