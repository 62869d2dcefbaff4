package auth

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// FuzzTokens: whatever a file of tokens holds, it is entries that nobody can guess, or an
// error that repeats none of them.
func FuzzTokens(f *testing.F) {
	f.Add(tokensYAML)
	f.Add("tokens: [{token: short, name: a, namespaces: [b]}]")
	f.Add("tokens:\n- {token: shop-token-0123456789, name: \"\\e[31m\", namespaces: [\"\"]}")
	f.Add("shop-token-0123456789: x")
	f.Add("tokens: [&a {token: *a}]")
	f.Add("\xff")
	path := filepath.Join(f.TempDir(), "tokens.yaml")
	secret := regexp.MustCompile(`[!-~]*0123456789[!-~]*`) // as in the seeds
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, entries, err := readTokens(path)
		if err != nil {
			if s := secret.FindString(text); s != "" && strings.Contains(err.Error(), s) {
				t.Errorf("repeats %q: %v", s, err)
			}
			return
		}
		for _, e := range entries {
			rights, ok := e.caller.Rights.(Fixed)
			if !ok || !callerName.MatchString(e.caller.Name) || len(rights.Namespaces) == 0 || len(rights.Verbs) == 0 {
				t.Errorf("took %+v", e.caller)
			}
		}
	})
}
