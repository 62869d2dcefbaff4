package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	type holder struct {
		Open   Secret
		closed Secret
		text   *Secret
	}
	const text = "xyzzy"
	s := NewSecret(text)
	h := holder{s, s, &s}
	encoded, err := json.Marshal(map[string]any{"s": s, "h": h})
	if err != nil {
		t.Fatal(err)
	}
	seen := string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		seen += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, &s) + fmt.Sprintf(verb, h) + fmt.Sprintf(verb, []Secret{s})
	}
	if strings.Contains(seen, text) || strings.Contains(seen, fmt.Sprintf("%x", text)) {
		t.Errorf("the secret was seen: %s", seen)
	}
	if s.Reveal() != text || s.Empty() || !NewSecret("").Empty() || NewSecret("").Reveal() != "" {
		t.Error("it cannot be used either")
	}
}
