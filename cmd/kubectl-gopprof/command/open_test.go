package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// seen remembers what the program that opens a file found in it.
func (s *scene) seen(t *testing.T) *string {
	content := new(string)
	s.world.Start = func(_ context.Context, program string, args ...string) error {
		s.started = append(s.started, program+" "+strings.Join(args[:len(args)-1], " "))
		data, err := os.ReadFile(args[len(args)-1])
		if err != nil || !filepath.IsAbs(args[len(args)-1]) {
			t.Errorf("%v: %v", args, err)
		}
		*content = string(data)
		return nil
	}
	return content
}

func TestOpenOfAReport(t *testing.T) {
	s := newScene(t)
	s.reports(report(reportID, "web-1"))
	content := s.seen(t)
	const tool = "/bin/go tool pprof -symbolize=none -http=localhost:"
	if code, _, errs := s.run("open", reportID); code != 0 || *content != "cpu of "+reportID || s.started[0] != tool+" -no_browser" {
		t.Errorf("code %d, %q, %v: %s", code, *content, s.started, errs)
	}
	s.world.Browser = "xdg-open"
	if code, _, _ := s.run("open", reportID, "--kind", "heap"); code != 0 || *content != "heap of "+reportID || s.started[1] != tool {
		t.Errorf("code %d, %q, %v", code, *content, s.started)
	}
	file := filepath.Join(t.TempDir(), "f")
	if code, _, _ := s.run("open", reportID, "-o", file); code != 0 || len(s.started) != 2 {
		t.Errorf("code %d, %v", code, s.started)
	}
	holds(t, file, "cpu of "+reportID)
	s.world.Start = func(context.Context, string, ...string) error { return errors.New("exit status 2") }
	if code, _, errs := s.run("open", reportID); code != exitFailed || !strings.Contains(errs, "go tool pprof -http=localhost:: exit status 2") {
		t.Errorf("code %d: %s", code, errs)
	}
}

func TestOpenOfATraceAndAMerge(t *testing.T) {
	s := newScene(t)
	r := report(reportID, "web-1")
	r.Files = []gopprof.File{{Kind: gopprof.KindTrace}}
	s.reports(r)
	content := s.seen(t)
	if code, _, _ := s.run("open", reportID); code != 0 || s.started[0] != "/bin/go tool trace" || *content != "trace of "+reportID {
		t.Errorf("code %d, %v", code, s.started)
	}
	s.on("GET "+api.PathOperation(operationID), answer(200, operation(gopprof.Manual{Selector: "a", Merge: true}, storedAs("a", reportID))))
	s.on("GET "+api.PathMerged(operationID), answer(200, api.Merged{Operation: operationID, Kinds: []api.MergedKind{{Kind: "heap", Profile: "p"}}}))
	s.on("GET "+api.PathMergedProfile(operationID, "heap"), bytesOf("merged"))
	if code, _, errs := s.run("open", operationID); code != 0 || *content != "merged" {
		t.Errorf("code %d, %q: %s", code, *content, errs)
	}
	if code, _, _ := s.run("open", operationID, "--web"); code != exitUsage {
		t.Errorf("a merge has no page: code %d", code)
	}
}

func TestOpenOfAFile(t *testing.T) {
	s := newScene(t)
	content := s.seen(t)
	file := filepath.Join(t.TempDir(), "-oops.pb.gz")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(file))
	if code, _, errs := s.bare("open", "--", "-oops.pb.gz"); code != 0 || *content != "mine" {
		t.Errorf("code %d, %q: %s", code, *content, errs)
	}
	if code, _, _ := s.bare("open", file, "--web"); code != exitUsage {
		t.Errorf("code %d", code)
	}
	if code, _, errs := s.bare("open", "nowhere"); code != exitUsage || !strings.Contains(errs, "neither a file nor") {
		t.Errorf("code %d: %s", code, errs)
	}
}

func TestOpenWithoutGo(t *testing.T) {
	s := newScene(t)
	s.reports(report(reportID, "web-1"))
	s.world.Find = func(string) (string, error) { return "", errAbsent }
	code, _, errs := s.run("open", reportID)
	if code != exitFailed || !strings.Contains(errs, "install Go") || len(s.calls()) != 1 {
		t.Errorf("code %d, %v: %s", code, s.calls(), errs)
	}
}

func TestOpenOfAPage(t *testing.T) {
	for page, want := range map[string]string{
		"https://x.example/reports/1":  "https://x.example/reports/1",
		"":                             "SERVER/reports/" + reportID,
		"file:///etc/passwd":           "",
		"file://host/etc/passwd":       "",
		"javascript://x/%0aalert(1)":   "",
		"javascript:alert(1)":          "",
		"--version":                    "",
		"https://x.example/\x1b]0;x\a": "",
		"https:///nohost":              "",
	} {
		s := newScene(t)
		s.world.Browser = "xdg-open"
		r := report(reportID, "web-1")
		r.Page = page
		s.reports(r)
		code, out, errs := s.run("open", reportID, "--web")
		if want == "" {
			if code != exitFailed || out != "" || len(s.started) != 0 {
				t.Errorf("%q: code %d, %v: %s%s", page, code, s.started, out, errs)
			}
			continue
		}
		if code != 0 || out != want+"\n" || strings.ReplaceAll(s.started[0], s.server.URL, "SERVER") != "xdg-open "+want {
			t.Errorf("%q: code %d, %v: %s%s", page, code, s.started, out, errs)
		}
	}
}

func TestBrowser(t *testing.T) {
	for name, want := range map[string]string{"DISPLAY": "xdg-open", "WAYLAND_DISPLAY": "xdg-open", "": ""} {
		if got := browser("linux", func(n string) string { return map[string]string{name: "x"}[n] }); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
	if browser("darwin", os.Getenv) != "open" {
		t.Error("macOS")
	}
}
