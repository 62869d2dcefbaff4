// Package statements writes what a customer bought in a year as one text, line by line.
package statements

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// HotFunction is the name under which writing stands in a CPU profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/statements.textOf"

// Printer prints statements.
type Printer struct{}

type entry struct {
	day   int
	what  string
	cents int
}

// ServeHTTP answers GET /statements?lines=… with a statement.
func (Printer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lines, err := strconv.Atoi(r.URL.Query().Get("lines"))
	if err != nil || lines < 0 || lines > 10_000 {
		http.Error(w, "lines must be a number up to 10000", http.StatusBadRequest)
		return
	}
	entries := make([]entry, lines)
	for i := range entries {
		entries[i] = entry{i % 365, "purchase in the shop of the old town", 100 * i % 7919}
	}
	_, _ = io.WriteString(w, textOf(entries))
}

func textOf(entries []entry) string {
	text := "day;what;amount\n"
	for _, e := range entries {
		text += strconv.Itoa(e.day) + ";" + e.what + ";" + fmt.Sprint(e.cents) + "\n"
	}
	return text
}
