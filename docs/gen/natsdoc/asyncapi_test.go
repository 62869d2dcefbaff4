package natsdoc

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/gopprof/gopprof/pkg/bus"
)

// inTree returns docs/asyncapi.yaml as JSON has it.
func inTree(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, "asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var d any
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return parsed(t, written(t, d)).(map[string]any)
}

// official is AsyncAPI's own schema of a document.
func official(t *testing.T) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open("testdata/asyncapi/3.0.0.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was read only
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, "asyncapi-3.0.0.json", data)
}

func TestTheDocumentIsAsyncAPI(t *testing.T) {
	s, d := official(t), inTree(t)
	if err := s.Validate(d); err != nil {
		t.Errorf("%#v", err)
	}
	for name, spoil := range map[string]func(d map[string]any){
		"no info":            func(d map[string]any) { delete(d, "info") },
		"another version":    func(d map[string]any) { d["asyncapi"] = "2.6.0" },
		"an unknown member":  func(d map[string]any) { d["topics"] = map[string]any{} },
		"an action of none":  func(d map[string]any) { in(d, "operations", "reports")["action"] = "publish" },
		"no channel":         func(d map[string]any) { delete(in(d, "operations", "reports"), "channel") },
		"an address of none": func(d map[string]any) { in(d, "channels", "reports")["address"] = json.Number("7") },
		"a server of none":   func(d map[string]any) { delete(in(d, "servers", "embedded"), "host") },
	} {
		d := inTree(t)
		spoil(d)
		if s.Validate(d) == nil {
			t.Errorf("%s: still AsyncAPI", name)
		}
	}
}

func in(d map[string]any, path ...string) map[string]any {
	for _, key := range path {
		d, _ = d[key].(map[string]any)
	}
	return d
}

// TestTheDocumentHasEveryChannel: address, messages and parameters are those of pkg/bus, whose
// own test holds them against what passes over NATS.
func TestTheDocumentHasEveryChannel(t *testing.T) {
	d := inTree(t)
	addresses := map[string]string{}
	for name, c := range in(d, "channels") {
		if address, ok := c.(map[string]any)["address"].(string); ok {
			addresses[name] = address
		}
	}
	want := map[string]string{}
	for _, c := range bus.Channels() {
		want[c.Name] = c.Address
		if got := len(in(d, "channels", c.Name, "parameters")); got != strings.Count(c.Address, "{") {
			t.Errorf("%s: %d parameters in %q", c.Name, got, c.Address)
		}
		for _, typ := range []string{c.Type, c.Answer} {
			if m, err := messageOf(typ); typ != "" && (err != nil || in(d, "components", "messages", m.Name)["name"] != typ) {
				t.Errorf("%s: no message of type %q: %v", c.Name, typ, err)
			}
		}
	}
	if !maps.Equal(addresses, want) {
		t.Errorf("addresses %v, want %v", addresses, want)
	}
}

// TestReferencesLeadSomewhere: those into the document, and those to the schemas.
func TestReferencesLeadSomewhere(t *testing.T) {
	d, n := inTree(t), 0
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if to, ok := v["$ref"].(string); ok {
				n++
				if !leads(d, to) {
					t.Errorf("%q leads nowhere", to)
				}
			}
			for _, below := range v {
				look(below)
			}
		case []any:
			for _, below := range v {
				look(below)
			}
		}
	}
	look(d)
	if n == 0 || leads(d, "#/channels/nothing") || leads(d, "schemas/nothing.json") {
		t.Errorf("%d references, or one that leads nowhere is not seen", n)
	}
}

func leads(d map[string]any, to string) bool {
	if below, ok := strings.CutPrefix(to, "#/"); ok {
		return in(d, strings.Split(below, "/")...) != nil
	}
	_, err := os.Stat(filepath.Join(docs, filepath.FromSlash(to)))
	return err == nil
}

func TestThePageNeedsAPlace(t *testing.T) {
	if _, err := Page("# NATS\n"); err == nil || !strings.Contains(err.Error(), "no place for the channels") {
		t.Error(err)
	}
	page, err := Page("a\n" + Begins + "old\n" + Ends + "b\n")
	if err != nil || !strings.HasPrefix(page, "a\n"+Begins+"| what |") || !strings.HasSuffix(page, "|\n"+Ends+"b\n") {
		t.Errorf("%q, %v", page, err)
	}
	if bytes.Contains([]byte(page), []byte("old")) {
		t.Error("what was there before is still there")
	}
}
