package main

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhatIsPostedIsShown(t *testing.T) {
	h := new(inbox).handler()
	for body, want := range map[string]int{`{"a": 1}`: 200, `not json`: 400, `"` + strings.Repeat("x", maxMessageBytes) + `"`: 400} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/hooks/gopprof", strings.NewReader(body)))
		if w.Code != want {
			t.Errorf("%.20s: %d, want %d", body, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/messages", nil))
	if got := strings.TrimSpace(w.Body.String()); got != `[{"a":1}]` {
		t.Errorf("messages %s", got)
	}
}
