package natsdoc

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/docs/gen/source"
)

// TestEveryMessageIsOfItsSchema: what pkg/wire writes and reads, today's and that of before.
// A schema means the same to a validator of draft-07, as those for AsyncAPI are.
func TestEveryMessageIsOfItsSchema(t *testing.T) {
	all := map[string]any{}
	for name := range codecs() {
		all[name] = parsed(t, full(t, name))
	}
	for name, c := range codecs() {
		for _, s := range []interface{ Validate(any) error }{schemaOf(t, name), schemaOf(t, name, "http://json-schema.org/draft-07/schema#")} {
			for from, data := range examples(t, name) {
				if err := s.Validate(parsed(t, data)); err != nil {
					t.Errorf("%s: %v", from, err)
				}
			}
			for other, event := range all {
				if err := s.Validate(event); (err == nil) != (other == name) {
					t.Errorf("a %s as a %s: %v", other, name, err)
				}
			}
		}
		if _, err := c.decode(full(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnEmptyMessageIsOfItsSchema: a noun that says as little as pkg/wire lets it, with lists
// that are null.
func TestAnEmptyMessageIsOfItsSchema(t *testing.T) {
	for _, name := range []string{"decision", "state"} {
		c := codecs()[name]
		noun := reflect.New(c.noun).Elem()
		if f := noun.FieldByName("Node"); f.IsValid() {
			f.SetString("n")
		}
		if f := noun.FieldByName("Reason"); f.IsValid() { // of a refusal
			f.SetString("budget")
		}
		event, err := c.encode(noun.Interface())
		if err != nil {
			t.Fatal(err)
		}
		if err := schemaOf(t, name).Validate(parsed(t, event)); err != nil {
			t.Errorf("%s: %v\n%s", name, err, event)
		}
	}
}

// TestSchemasRefuseMutants: of every field, another type; of every field that is always
// written, none; of every closed set, a word that is not in it.
func TestSchemasRefuseMutants(t *testing.T) {
	for name, c := range codecs() {
		s := schemaOf(t, name)
		for m := range mutants(parsed(t, full(t, name)), c.noun) {
			wrong := false
			switch m.change {
			case "another type":
				wrong = true
			case "null":
				wrong = !m.nullable()
			case "left out":
				wrong = m.required()
			case "no word", "upper case":
				wrong = m.closed()
			default:
				continue
			}
			if strings.HasPrefix(m.path, ".capture.") && name == "report" {
				continue // as in a capture
			}
			err := s.Validate(m.event)
			if wrong && err == nil {
				t.Errorf("%s: takes %s", name, m)
			}
			if !wrong && err != nil && m.change != "no word" && m.change != "upper case" { // a name may be bounded otherwise
				t.Errorf("%s: refuses %s: %v", name, m, err)
			}
		}
	}
}

// between are the checks of pkg/wire that look at several values at once, which no schema
// says. Whatever else it refuses, the schemas refuse.
func between() map[string]string {
	return map[string]string{
		"Capture.profiles":  "each kind once",
		"History.seriesBy":  "given where there are series",
		"Decision.incident": "given where the answer is go",
		"NodeState.cluster": "that of each of its targets", "NodeState.node": "likewise",
		"Target.cluster": "that of the state it is in", "Target.node": "likewise",
	}
}

// TestSchemasAndChecksAreOne holds each change of each field against pkg/wire: what it refuses
// the schema refuses, and what it would write the schema takes.
func TestSchemasAndChecksAreOne(t *testing.T) {
	met := map[string]bool{}
	for name, c := range codecs() {
		s := schemaOf(t, name)
		for m := range mutants(parsed(t, full(t, name)), c.noun) {
			if strings.HasPrefix(m.path, ".capture.") && name == "report" {
				continue // checked as a capture is
			}
			noun, refused := c.decode(written(t, m.event))
			if refused != nil {
				if s.Validate(m.event) == nil {
					met[m.field] = true
					if between()[m.field] == "" {
						t.Errorf("%s: takes %s, which pkg/wire does not: %v", name, m, refused)
					}
				}
				continue
			}
			again, err := c.encode(noun)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, m, err)
			}
			if err := s.Validate(parsed(t, again)); err != nil && !neverWritten(m) {
				t.Errorf("%s: refuses %s, which pkg/wire writes: %v", name, m, err)
			}
		}
	}
	for field := range between() {
		if !met[field] {
			t.Errorf("%s is said to be checked with others, and is not", field)
		}
	}
}

// neverWritten tells what pkg/wire would let through and nobody sends: a word that is in no
// closed set, which is there for words of tomorrow, or none where one is always given; and
// siblings that are no targets, for they are taken out of states, which were checked.
func neverWritten(m mutant) bool {
	gone := m.change == "left out" || m.change == "null" || m.change == "empty" || strings.HasSuffix(m.change, " members")
	structure := m.kind.Kind() == reflect.Struct || m.kind.Kind() == reflect.Pointer
	return m.closed() || gone && structure || strings.HasPrefix(m.path, ".siblings.target.")
}

// TestBoundsAreOfFields: a bound of a field that is no more would be none.
func TestBoundsAreOfFields(t *testing.T) {
	nouns, err := readNouns()
	if err != nil {
		t.Fatal(err)
	}
	for key := range bounds() {
		name, field, _ := strings.Cut(key, ".")
		if !slices.ContainsFunc(nouns.Structs[name].InJSON(), func(f source.Field) bool { return f.JSON == field }) {
			t.Errorf("%s has bounds, and is no field", key)
		}
	}
}

// TestEveryTypeIsSaid: each type of message of pkg/wire, and each golden file, has its schema.
func TestEveryTypeIsSaid(t *testing.T) {
	goldens, err := filepath.Glob(filepath.Join(root, "pkg", "wire", "testdata", "*.json"))
	goldens = slices.DeleteFunc(goldens, func(path string) bool { return strings.HasSuffix(path, "-alert.json") }) // of types that are there
	if err != nil || len(goldens) != len(messages()) || len(codecs()) != len(messages()) {
		t.Errorf("%d golden files and %d codecs, %d messages: %v", len(goldens), len(codecs()), len(messages()), err)
	}
	code, err := os.ReadFile(filepath.Join(root, "pkg", "wire", "wire.go"))
	if err != nil {
		t.Fatal(err)
	}
	if types := strings.Count(string(code), `= "io.gopprof.`); types != len(messages()) {
		t.Errorf("%d types in pkg/wire, %d messages", types, len(messages()))
	}
	for _, m := range messages() {
		if _, ok := codecs()[m.Name]; !ok {
			t.Errorf("no test of %s", m.Name)
		}
	}
}
