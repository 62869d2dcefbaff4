// Package receipts keeps and shows what was bought. It copies documents by writing them as
// JSON and reading that again.
package receipts

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// HotFunction is the name under which copying stands in a CPU profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/receipts.copyOf"

// Archive holds the receipt that everybody gets.
type Archive struct{ receipt map[string]any }

// NewArchive returns an archive with a receipt of so many lines.
func NewArchive(lines int) *Archive {
	var list []any
	for i := range lines {
		list = append(list, map[string]any{
			"sku": fmt.Sprintf("sku-%d", i), "title": fmt.Sprintf("thing no. %d", i), "count": i%5 + 1, "price": 1.25 * float64(i),
			"tax": map[string]any{"rate": 0.19, "code": "DE-STD", "exempt": false}, "tags": []any{"gift", "fragile"},
		})
	}
	return &Archive{receipt: map[string]any{
		"number": "R-2024-000017", "lines": list, "paid": true,
		"customer": map[string]any{"name": "Ada", "city": "Basel", "points": 117},
	}}
}

// ServeHTTP answers GET /receipts?for=… with a receipt of one's own.
func (a *Archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	receipt, err := copyOf(a.receipt)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	receipt["for"] = r.URL.Query().Get("for")
	_, _ = fmt.Fprintln(w, receipt["number"], receipt["for"])
}

// copyOf makes a copy that may be changed.
func copyOf(document map[string]any) (map[string]any, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	var copied map[string]any
	err = json.Unmarshal(text, &copied)
	return copied, err
}
