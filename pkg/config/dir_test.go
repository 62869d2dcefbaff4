package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plan is a configuration whose parts come from several files.
type plan struct {
	Name string   `yaml:"name"`
	Size int      `yaml:"size"`
	List []string `yaml:"list"`
	In   struct {
		A int `yaml:"a"`
		B int `yaml:"b"`
	} `yaml:"in"`
}

func (p plan) Check(report func(key, problem string)) {
	if p.Size > 10 {
		report("size", "is above 10")
	}
	if p.In.A > p.In.B {
		report("in.a", "is above in.b")
	}
}

func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestADirectoryIsItsFilesOneOverTheOther(t *testing.T) {
	dir := directory(t, map[string]string{
		"10-base.yaml": "name: base\nsize: 99\nlist: [a, b]\nin: {a: 5, b: 1}\n", // wrong by itself
		"50-site.yaml": "size: 3\nlist: [c]\nin: {b: 7}\n",
		"60-none.yaml": "# nothing\n",
		"README":       "not: [yaml",
	})
	p := plan{Name: "default"}
	if err := Load(dir, &p); err != nil {
		t.Fatal(err)
	}
	if p.Name != "base" || p.Size != 3 || len(p.List) != 1 || p.List[0] != "c" || p.In.A != 5 || p.In.B != 7 {
		t.Errorf("%+v", p)
	}
}

func TestMistakesNameTheirFile(t *testing.T) {
	dir := directory(t, map[string]string{
		"a.yaml": "name: x\nin: {a: 5}\n",
		"b.yaml": "\n\nsize: 11\nsurprise: 1\n",
	})
	err := Load(dir, &plan{})
	want := []string{"a.yaml:2: in.a: is above in.b", "b.yaml:3: size: is above 10", "b.yaml:4: surprise: unknown key, known here are name, size, list, in"}
	if err == nil {
		t.Fatal("no mistakes")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("mistakes:\n%s", err)
	}
	for i, line := range lines {
		if line != filepath.Join(dir, want[i]) {
			t.Errorf("%s, want …/%s", line, want[i])
		}
	}
	if err := Load(directory(t, nil), &plan{}); err == nil || !strings.Contains(err.Error(), "no *.yaml") {
		t.Errorf("an empty directory: %v", err)
	}
}
