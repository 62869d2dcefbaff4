package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func openShop(t *testing.T) *shop {
	t.Helper()
	s := newShop(0)
	t.Cleanup(s.close)
	return s
}

func TestItDoesWhatItIsAsked(t *testing.T) {
	s := openShop(t)
	server := httptest.NewServer(s.handler())
	t.Cleanup(server.Close)
	steps := []struct {
		request string
		want    state
	}{
		{"/heat?cores=0.25", state{Cores: 0.25}},
		{"/grow?mb=3", state{Cores: 0.25, Mebibytes: 3}},
		{"/grow?mb=2", state{Cores: 0.25, Mebibytes: 5}},
		{"/contend?clerks=4", state{Cores: 0.25, Mebibytes: 5, Clerks: 4}},
		{"/cool", state{Mebibytes: 5, Clerks: 4}},
		{"/contend?clerks=0", state{Mebibytes: 5}},
		{"/shrink", state{}},
	}
	for _, step := range steps {
		resp, err := http.Post(server.URL+step.request, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		var got state
		err = json.NewDecoder(resp.Body).Decode(&got)
		resp.Body.Close()
		step.want.PID = os.Getpid()
		if err != nil || got != step.want {
			t.Errorf("%s: %+v, %v; want %+v", step.request, got, err, step.want)
		}
	}
}

func TestItRefusesNonsense(t *testing.T) {
	s := openShop(t)
	for _, request := range []string{"/heat", "/heat?cores=-1", "/heat?cores=NaN", "/heat?cores=1000", "/grow?mb=x", "/grow?mb=-1", "/grow?mb=100000", "/contend?clerks=1000", "/answer", "/answer?pprof=badly"} {
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, httptest.NewRequest("POST", request, nil))
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", request, w.Code, w.Body)
		}
	}
}

func TestItListensOnLoopbackOnly(t *testing.T) {
	if err := run(t.Context(), options{listen: ":0", gcPercent: 100}); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Errorf("err %v", err)
	}
}

func TestItsAddressIsWrittenAndItEndsWhenTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addr")
	ended := make(chan error, 1)
	go func() { ended <- run(t.Context(), options{listen: "127.0.0.1:0", addrFile: file, gcPercent: 100}) }()
	deadline := time.Now().Add(10 * time.Second)
	for {
		address, err := os.ReadFile(file)
		if err == nil {
			resp, err := http.Get("http://" + string(address) + "/state")
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp, err)
			}
			resp.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		t.Fatal("ended by itself:", err)
	default:
	}
}

func TestItUsesTheCPUThatItWasAskedFor(t *testing.T) {
	s := openShop(t)
	s.pricing.Use(0.2)
	began, before := time.Now(), processCPU(t)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range tick.C { // on a busy machine it takes its time to get its share
		used, passed := processCPU(t)-before, time.Since(began)
		share := used.Seconds() / passed.Seconds()
		if passed > time.Second && share > 0.1 && share < 0.3 {
			return
		}
		if passed > 30*time.Second {
			t.Fatalf("used %s of CPU in %s", used, passed)
		}
	}
}

func processCPU(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What is asked of pprof while it never answers ends with who asks, and does not hold up
// the end of the program.
func TestItsProfilesAnswerAsTold(t *testing.T) {
	s := openShop(t)
	server := httptest.NewServer(s.handler())
	t.Cleanup(server.Close)
	tell := func(how string) {
		resp, err := http.Post(server.URL+"/answer?pprof="+how, "", nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
	}
	for _, c := range []struct {
		how  string
		want int // 0: none
	}{{"error", 500}, {"never", 0}, {"well", 200}} {
		tell(c.how)
		client := http.Client{}
		if c.want == 0 {
			client.Timeout = 100 * time.Millisecond
		}
		resp, err := client.Get(server.URL + "/debug/pprof/goroutine")
		if c.want == 0 {
			if err == nil {
				t.Errorf("%s: answered %s", c.how, resp.Status)
			}
			continue
		}
		if err != nil || resp.StatusCode != c.want {
			t.Fatalf("%s: %v, %v, want %d", c.how, resp, err, c.want)
		}
		resp.Body.Close()
	}
}
