package views

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// TestMain makes the test program its own worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "view-worker" {
		if err := Worker(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func newViews(t *testing.T, mode string, change func(*Config)) *Views {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	vs, err := New(cfg, []string{self, mode}, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vs.Close)
	return vs
}

func file(data []byte) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return data, nil }
}

func TestTry(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	v := View{Key: "a", Kind: gopprof.KindCPU, Title: "shop/web: cpu", Home: "../../../x", Profile: file(profiletest.CPU(1, profiletest.On(1e9, "main.f", "main.main"), profiletest.On(5e8, "main.g", "main.main")))}
	for _, page := range pages {
		start := time.Now()
		html, err := vs.Page(t.Context(), v, page, "")
		t.Log(page, len(html), err, time.Since(start))
		if !bytes.Contains(html, []byte("main.f")) {
			t.Errorf("%s: %s", page, html)
		}
		os.WriteFile("/tmp/try-"+page+".html", html, 0o644)
	}
}
