package static

import (
	"os"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/config"
)

func TestURLs(t *testing.T) {
	for raw, want := range map[string]string{
		"http://127.0.0.1:6060":              "http://127.0.0.1:6060/debug/pprof/heap",
		"http://127.0.0.1:6060/":             "http://127.0.0.1:6060/debug/pprof/heap",
		"http://127.0.0.1:6060/debug/pprof/": "http://127.0.0.1:6060/debug/pprof/heap",
		"http://host/x":                      "http://host:80/x/heap",
		"https://[fd00::1]/x":                "https://[fd00::1]:443/x/heap",
		"":                                   "",
		"127.0.0.1:6060":                     "",
		"/debug/pprof":                       "",
		"mailto:a@b":                         "",
		"http://user:secret@host/x":          "",
		"http://host/x?seconds=5":            "",
		"http://host/x?":                     "",
		"http://host/x#y":                    "",
		"http://host/x#":                     "",
		"http://host:/x":                     "",
		"http://host:0/x":                    "",
		"http://host:99999/x":                "",
		"http://host:6060@evil/x":            "",
		"http://host/%2e%2e/x":               "",
		"http://host/a%20b":                  "",
		"http://host/a b":                    "",
		"http://host//x":                     "",
		"http://host/x//":                    "",
		"http://169.254.169.254/latest":      "",
		"ftp://host/x":                       "",
		"http://[fe80::1%25eth0]/x":          "",
	} {
		e, err := parseURL(raw)
		got := ""
		if err == nil {
			got = e.URL("heap", nil).String()
		}
		if got != want {
			t.Errorf("%q → %q, %v, want %q", raw, got, err, want)
		}
	}
}

func TestErrorsOfURLsHoldNoPassword(t *testing.T) {
	for _, raw := range []string{"http://user:secret@host/x", "http://user:secret@ho st/x", "http://user:sec%zzret@host"} {
		if _, err := parseURL(raw); err == nil || strings.Contains(err.Error(), "sec") {
			t.Errorf("%v", err)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("http://127.0.0.1:6060/debug/pprof/")
	f.Add("https://[fd00::1]:1/x")
	f.Add("http://host:6060@evil:80/x?y#z")
	f.Add("http:host")
	f.Add("http://host/%2f..")
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := parseURL(raw)
		if err != nil {
			return
		}
		if err := discover.CheckEndpoint(e); err != nil {
			t.Errorf("%q → %+v: %v", raw, e, err)
		}
		again, err := parseURL(strings.TrimSuffix(e.URL("", nil).String(), "/"))
		if err != nil || again != e {
			t.Errorf("%q → %+v → %+v, %v", raw, e, again, err)
		}
	})
}

func FuzzFile(f *testing.F) {
	for _, name := range []string{"testdata/targets.yaml", "testdata/mistakes.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("targets: [{namespace: a, workload: b, pprof: 'http://a', pid: 1}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := File{node: discover.Node{Cluster: "c", Name: "n"}}
		if config.Parse("targets.yaml", data, &file) != nil {
			return
		}
		keys := map[string]bool{}
		for _, e := range file.Targets {
			target, err := e.target(file.node)
			if err != nil || discover.CheckEndpoint(target.Endpoint) != nil {
				t.Errorf("%+v: %v", e, err)
			}
			if target.Namespace == "" || target.Pod == "" || target.Container == "" || target.Workload.Name == "" || keys[target.Key()] {
				t.Errorf("target %+v", target)
			}
			keys[target.Key()] = true
		}
	})
}

func FuzzPID(f *testing.F) {
	for _, s := range []string{"1", " 42\n", "-1", "4194305", "0x10", "1 2", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if pid, err := parsePID(data); err == nil && (pid < 1 || pid > maxPID) {
			t.Errorf("%q → %d", data, pid)
		}
	})
}
