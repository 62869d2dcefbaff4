package command

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestParseTarget(t *testing.T) {
	for arg, want := range map[string][2]string{
		"web-1": {"web-1", ""}, "pod/web-1": {"web-1", ""}, "po/web-1": {"web-1", ""}, "pods/web-1": {"web-1", ""}, "POD/x": {"x", ""},
		"host/db-7": {"db-7", ""}, "deploy/web": {"", "Deployment/web"}, "deployments.apps/web": {"", "Deployment/web"}, "deployment/web": {"", "Deployment/web"},
		"sts/db": {"", "StatefulSet/db"}, "statefulset/db": {"", "StatefulSet/db"}, "ds/log": {"", "DaemonSet/log"}, "job/x": {"", "Job/x"},
		"cronjob/x": {"", "CronJob/x"}, "rs/x": {"", "ReplicaSet/x"}, "workload/Host/checkout": {"", "Host/checkout"},
	} {
		pod, workload, err := parseTarget(arg)
		if err != nil || [2]string{pod, workload} != want {
			t.Errorf("%q: %q %q %v", arg, pod, workload, err)
		}
	}
	for _, arg := range []string{"", "pod/", "/x", "deploy/", "deplyo/x", "pod/a/b", "deploy/a/b", "workload/x", "workload//x", "workload/K/", "workload/K/a/b"} {
		if _, _, err := parseTarget(arg); err == nil {
			t.Errorf("%q is taken", arg)
		}
	}
	for _, w := range []gopprof.Workload{{Kind: "Deployment", Name: "web"}, {Kind: "Host", Name: "x"}, {Kind: "Job", Name: "y"}} {
		if _, got, err := parseTarget(workloadWord(w)); err != nil || got != w.String() {
			t.Errorf("%v is written %q and read %q, %v", w, workloadWord(w), got, err)
		}
	}
}

func TestRequest(t *testing.T) {
	got, err := asking{arg: "sts/db", kinds: []string{"heap", "profile", "heap"}, seconds: 5, merge: true, maxPods: 2}.request()
	want := api.CaptureRequest{Workload: "StatefulSet/db", Kinds: []gopprof.Kind{"heap", "cpu"}, Seconds: 5, Merge: true, MaxPods: 2}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, a := range map[string]asking{
		"nothing":           {},
		"both":              {arg: "web-1", selector: "a=b"},
		"no kind":           {arg: "web-1", kinds: []string{"memory"}},
		"merge of a pod":    {arg: "web-1", merge: true},
		"expect of a pod":   {arg: "web-1", expect: 1},
		"negative":          {arg: "deploy/web", atOnce: -1},
		"merge of traces":   {arg: "deploy/web", merge: true, kinds: []string{"trace"}},
		"a wrong reference": {arg: "web/1/2"},
	} {
		if _, err := a.request(); err == nil {
			t.Errorf("%s is taken", name)
		} else if _, ok := errors.AsType[usageError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	one, group, merged := api.CaptureRequest{Pod: "p"}, api.CaptureRequest{Workload: "w"}, api.CaptureRequest{Workload: "w", Merge: true}
	two := api.CaptureRequest{Pod: "p", Kinds: []gopprof.Kind{"cpu", "heap"}}
	heap := api.CaptureRequest{Pod: "p", Kinds: []gopprof.Kind{"heap"}}
	for _, c := range []struct {
		out   string
		r     api.CaptureRequest
		want  place
		kinds int
	}{
		{"", one, place{}, 0}, {"f", one, place{file: "f"}, 1}, {"f", heap, place{file: "f"}, 1}, {"-", one, place{stdout: true}, 1},
		{"d/", one, place{dir: "d/"}, 0}, {dir, one, place{dir: dir}, 0}, {"d", two, place{dir: "d"}, 2}, {"d", group, place{dir: "d"}, 0},
		{"f", merged, place{file: "f"}, 1}, {"-", merged, place{stdout: true}, 1}, {"./json", one, place{file: "./json"}, 1},
	} {
		got, err := newPlace(c.out, &c.r)
		if err != nil || got != c.want || len(c.r.Kinds) != c.kinds {
			t.Errorf("%q %+v: %+v, %v", c.out, c.r, got, err)
		}
	}
	for _, r := range []api.CaptureRequest{group, two} {
		if _, err := newPlace("-", &r); err == nil {
			t.Errorf("several profiles to standard output: %+v", r)
		}
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]float64{"30": 30, "0.5": 0.5, "30s": 30, "1m30s": 90, "600": 600, "10m": 600} {
		var s seconds
		if err := s.Set(text); err != nil || float64(s) != want {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "601", "11m", "NaN", "Inf", "half"} {
		var s seconds
		if err := s.Set(text); err == nil || !strings.Contains(err.Error(), "must be") {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
}
