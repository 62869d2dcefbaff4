package ops

import (
	"runtime/debug"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestVersion(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123"}
	cases := []struct {
		info debug.BuildInfo
		want string
	}{
		{debug.BuildInfo{}, "devel"},
		{debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel"},
		{debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{revision}}, "v1.2.3"},
		{debug.BuildInfo{Settings: []debug.BuildSetting{revision}}, "devel-0123456789ab"},
		{debug.BuildInfo{Settings: []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "true"}}}, "devel-0123456789ab-dirty"},
		{debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "01"}}}, "devel-01"},
	}
	for _, c := range cases {
		if got := versionOf(&c.info); got != c.want {
			t.Errorf("%+v: %q, want %q", c.info, got, c.want)
		}
	}
	if Version() == "" {
		t.Error("this build has no version")
	}
}

func TestTheRegistryTellsOfTheProgram(t *testing.T) {
	reg := NewRegistry()
	for _, name := range []string{"gopprof_build_info", "go_goroutines", "process_cpu_seconds_total"} {
		if n, err := testutil.GatherAndCount(reg, name); err != nil || n != 1 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if problems, err := testutil.GatherAndLint(reg, "gopprof_build_info"); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
