package kubernetes

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// server speaks as the API server does, in JSON or in protobuf: a list of one pod, and a
// watch in which the pod gets another address and then the stream ends.
type server struct {
	speak runtime.SerializerInfo

	mu    sync.Mutex
	asked []string
}

// speaking returns a server that answers in one of the API server's two languages.
func speaking(t *testing.T, mediaType string) *server {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	info, ok := runtime.SerializerInfoForMediaType(serializer.NewCodecFactory(scheme).SupportedMediaTypes(), mediaType)
	if !ok {
		t.Fatalf("no serializer of %s", mediaType)
	}
	return &server{speak: info}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.Path+"?"+r.URL.RawQuery+" "+r.Header.Get("Authorization"))
	if !strings.Contains(r.Header.Get("Accept"), s.speak.MediaType) {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	pod := web()
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	pod.ResourceVersion = "7"
	if r.URL.Query().Get("watch") == "" {
		w.Header().Set("Content-Type", s.speak.MediaType)
		_ = s.speak.Serializer.Encode(&corev1.PodList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []corev1.Pod{*pod},
		}, w)
		return
	}
	pod.ResourceVersion, pod.Status.PodIP = "8", "10.88.0.18"
	var changed bytes.Buffer
	_ = s.speak.Serializer.Encode(pod, &changed)
	w.Header().Set("Content-Type", s.speak.MediaType+";stream=watch")
	_ = s.speak.StreamSerializer.Serializer.Encode(&metav1.WatchEvent{Type: "MODIFIED", Object: runtime.RawExtension{Raw: changed.Bytes()}},
		s.speak.StreamSerializer.Framer.NewFrameWriter(w))
}

func TestSpeaksWithTheAPIServer(t *testing.T) {
	for _, mediaType := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		t.Run(mediaType, func(t *testing.T) { speaksWith(t, speaking(t, mediaType)) })
	}
}

func speaksWith(t *testing.T, s *server) {
	web := httptest.NewServer(s)
	defer web.Close()
	d, err := New(DefaultConfig(), here, &rest.Config{Host: web.URL, BearerToken: "sesame"}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	go d.Run(t.Context())
	deadline := time.Now().Add(20 * time.Second)
	for {
		if got := d.Snapshot(); len(got.Targets) == 1 && got.Targets[0].Endpoint.Host == "10.88.0.18" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%+v, %v", got, d.Ready())
		}
		<-time.After(5 * time.Millisecond)
	}
	if err := d.Ready(); err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, asked := range s.asked {
		if !strings.HasPrefix(asked, "/api/v1/pods?") || !strings.Contains(asked, "fieldSelector=spec.nodeName%3Dnode-1") || !strings.HasSuffix(asked, " Bearer sesame") {
			t.Errorf("asked %s", asked)
		}
	}
}

func TestConnection(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	write := func(user string) string {
		data := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: lab
contexts: [{name: other, context: {cluster: x, user: x}}, {name: lab, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443", certificate-authority: pki/ca.crt, certificate-authority-data: Q0E=}}]
users: [{name: u, user: %s}]
`, user)
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	c, err := connection(write("{token: sesame, client-certificate-data: Q0VSVA==, client-key: /k}"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Host != "https://10.0.0.1:6443" || c.BearerToken != "sesame" || string(c.CAData) != "CA" || c.CAFile != filepath.Join(filepath.Dir(file), "pki/ca.crt") ||
		string(c.CertData) != "CERT" || c.KeyFile != "/k" {
		t.Errorf("%+v", c)
	}
	for user, want := range map[string]string{"{exec: {command: aws}}": "exec", "[]": "kubeconfig"} {
		if _, err := connection(write(user)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", user, err)
		}
	}
	if err := os.WriteFile(file, []byte("current-context: lab"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := connection(file); err == nil || !strings.Contains(err.Error(), "lab") {
		t.Error(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := New(DefaultConfig(), here, nil, zap.NewNop(), prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), "API server") {
		t.Errorf("outside of a cluster: %v", err)
	}
}

func TestConfigTellsEveryMistake(t *testing.T) {
	var keys []string
	report := func(key, _ string) { keys = append(keys, key) }
	if DefaultConfig().Check(report); len(keys) > 0 {
		t.Errorf("the defaults are wrong: %v", keys)
	}
	Config{Kubeconfig: "k", Selector: "a in b", Namespaces: []string{"shop", "Shop"}}.Check(report)
	if got := strings.Join(keys, " "); got != "kubeconfig selector namespaces[1]" {
		t.Errorf("mistakes in %s", got)
	}
}
