package datadoc

import (
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	got, err := Write("testdata", "Thing", map[string]string{"Thing.id": "of this thing"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "### Thing\n\nThing is a thing, told in two lines.\n\n| field | type | meaning |\n|---|---|---|\n" +
		"| `id` | text | of this thing |\n" +
		"| `hasCPU` | true or false, optional | `hasCPU` and `hasMemory` tell what \\| was seen. |\n" +
		"| `hasMemory` | true or false, optional | see `hasCPU` |\n" +
		"| `parts` | list of [Part](#part) | beside `hasCPU` |\n" +
		"| `colour` | [Colour](#colour) | of all |\n" +
		"| `links` | text by name, optional | elsewhere |\n" +
		"| `at` | time | when |\n" +
		"| `owner` | [Part](#part), optional | `owner` may be nobody. |\n\n" +
		"### Part\n\nPart is of a Thing.\n\n| field | type | meaning |\n|---|---|---|\n| `weight` | number | kilograms |\n\n" +
		"### Colour\n\nColour is one of a few.\n\n| word | meaning |\n|---|---|\n| (empty) |  |\n| `red` | like roses |\n\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestNothingIsInvented(t *testing.T) {
	for want, c := range map[string]struct {
		root string
		said map[string]string
	}{
		`nothing is said of "Thing.id"`:     {"Thing", nil},
		`"Thing.weight" is explained`:       {"Thing", map[string]string{"Thing.id": "x", "Thing.weight": "x"}},
		`"Thing.at" is explained`:           {"Thing", map[string]string{"Thing.id": "x", "Thing.at": "x"}},
		"no such struct":                    {"Nothing", nil},
		"no way to write its type":          {"Odd", nil},
		"neither data nor a closed set":     {"Strange", nil},
		"writing the words of Empty: no co": {"Wordless", nil},
		"constant MoodBad has no type":      {"Loose", nil},
	} {
		if got, err := Write("testdata", c.root, c.said); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want %q", c.root, got, err, want)
		}
	}
}
