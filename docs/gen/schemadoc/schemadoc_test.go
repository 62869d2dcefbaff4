package schemadoc_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/docs/gen/schemadoc"
	"github.com/gopprof/gopprof/docs/gen/source"
)

// thing is the fixture of the other reference of data.
func thing(t *testing.T) *source.Package {
	t.Helper()
	p, err := source.Read(filepath.Join("..", "datadoc", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDefinitions(t *testing.T) {
	defs, err := schemadoc.Definitions(thing(t), "Thing", schemadoc.Words{
		Said:   map[string]string{"Thing.id": "of this thing"},
		Bounds: map[string]schemadoc.Object{"Thing.id": {{Key: "maxLength", Value: 3}}, "Thing.colour": {{Key: "minLength", Value: 1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(defs)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"Thing":{"description":"Thing is a thing, told in two lines.","type":"object","properties":{` +
		`"id":{"description":"of this thing","type":"string","maxLength":3},` +
		"\"hasCPU\":{\"description\":\"`hasCPU` and `hasMemory` tell what | was seen.\",\"type\":\"boolean\"}," +
		"\"hasMemory\":{\"description\":\"see `hasCPU`\",\"type\":\"boolean\"}," +
		"\"parts\":{\"description\":\"beside `hasCPU`\",\"type\":[\"array\",\"null\"],\"items\":{\"$ref\":\"#/$defs/Part\"}}," +
		`"colour":{"description":"of all","allOf":[{"$ref":"#/$defs/Colour"}],"minLength":1},` +
		`"links":{"description":"elsewhere","type":"object","additionalProperties":{"type":"string"}},` +
		`"at":{"description":"when","type":"string","format":"date-time"},` +
		"\"owner\":{\"description\":\"`owner` may be nobody.\",\"$ref\":\"#/$defs/Part\"}}," +
		`"required":["id","parts","colour","at"]},` +
		`"Part":{"description":"Part is of a Thing.","type":"object","properties":{"weight":{"description":"kilograms","type":"number"}},"required":["weight"]},` +
		`"Colour":{"description":"Colour is one of a few.","type":"string","enum":["","red"]}}`
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestNothingIsInvented(t *testing.T) {
	for root, want := range map[string]string{
		"Odd": "no way to write its type", "Strange": "neither data nor a closed set", "Wordless": "writing the schema of Empty: no constant",
	} {
		if got, err := schemadoc.Definitions(thing(t), root, schemadoc.Words{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", root, got, err, want)
		}
	}
}
