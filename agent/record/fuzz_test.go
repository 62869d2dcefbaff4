package record

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/gopprof/gopprof/pkg/heapster"
	"github.com/gopprof/gopprof/test/hostile"
)

// FuzzAnswer: whatever a server answers to a write, or to the making of its database, is a
// yes only when it says so, and else a short line that can be logged.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"error":"database not found: \"k8s\""}`, `{"error":"partial write: field type conflict dropped=1"}`, `{"results":[{"statement_id":0}]}`, `{"results":[{"error":"not authorized"}]}`,
		`{"results":[{},{}]}`, `{"results":[]}`, `{"results":null}`, `{"results":[null]}`, `{"results":[{"error":null}]}`, `{"results":[{"ERROR":"x","error":""}]}`, "", "null", "<html>" + strings.Repeat("x", 10_000),
	} {
		for _, status := range []int{http.StatusNoContent, http.StatusOK, http.StatusNotFound, http.StatusBadRequest, 0, -1} {
			f.Add(status, []byte(body))
		}
	}
	for _, name := range hostile.Names() {
		quoted, err := json.Marshal(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(http.StatusOK, []byte(`{"results":[{"error":`+string(quoted)+`}]}`))
		f.Add(http.StatusNotFound, []byte(name+errNoDatabase.Error()))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := heapster.Answer{Status: status, Body: body}
		if created(a) && (status != http.StatusOK || !json.Valid(body) || !strings.Contains(string(body), "[")) {
			t.Errorf("%d %q is taken for a yes", status, body)
		}
		err := refusal(a)
		if line := err.Error(); len(line) > 1000 || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%d bytes: %q", len(line), line)
		}
		// Only then the database is made: anything else must not lead to that again and again.
		if errors.Is(err, errNoDatabase) && (status != http.StatusNotFound || !strings.Contains(string(body), errNoDatabase.Error())) {
			t.Errorf("%d %q is taken for a database that is not there", status, body)
		}
	})
}
