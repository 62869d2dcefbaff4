package configdoc_test

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/docs/gen/configdoc"
	"github.com/gopprof/gopprof/docs/gen/configdoc/internal/fixture"
	"github.com/gopprof/gopprof/pkg/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

const module, root = "github.com/gopprof/gopprof", "../../.."

func TestTheReferenceExplainsEveryKey(t *testing.T) {
	got, err := configdoc.Write(root, module, fixture.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "fixture.yaml")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got:\n%s\nwant (%s, mended by -update):\n%s", got, path, want)
	}
}

// TestTheReferenceIsTheDefaults reads the reference as a configuration file, over nothing
// and over the defaults.
func TestTheReferenceIsTheDefaults(t *testing.T) {
	text, err := configdoc.Write(root, module, fixture.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []fixture.Config{{}, fixture.DefaultConfig()} {
		if err := config.Parse("reference", text, &got); err != nil {
			t.Fatal(err)
		}
		if want := fixture.DefaultConfig(); !reflect.DeepEqual(got, want) {
			t.Errorf("read back:\n%+v\nwant:\n%+v", got, want)
		}
	}
}

func TestAKeyWithoutACommentIsRefused(t *testing.T) {
	if text, err := configdoc.Write(root, module, fixture.Bare{}); err == nil || !strings.Contains(err.Error(), `key "name": field Name of fixture.Bare: no doc comment`) {
		t.Errorf("%s, %v", text, err)
	}
}
