// Package checkout is ordinary work of the burner's shop: baskets come in as JSON, are
// priced and confirmed.
package checkout

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/test/burner/catalog"
)

// Basket is what somebody buys.
type Basket struct {
	Customer string `json:"customer"`
	Lines    []Line `json:"lines"`
}

// Line is one sort of product in a basket.
type Line struct {
	SKU   string `json:"sku"`
	Count int    `json:"count"`
}

// Service takes baskets.
type Service struct{ Products catalog.Products }

// ServeHTTP answers POST /checkout with a confirmation.
func (s Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var b Basket
	if err := json.Unmarshal(body, &b); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, s.confirm(b))
}

func (s Service) confirm(b Basket) string {
	slices.SortFunc(b.Lines, func(x, y Line) int { return strings.Compare(x.SKU, y.SKU) })
	var text strings.Builder
	fmt.Fprintf(&text, "Thank you, %s!\n", b.Customer)
	sum := 0
	for i, l := range b.Lines {
		p := s.Products[l.SKU]
		sum += p.Cents * l.Count
		fmt.Fprintf(&text, "%3d  %-40s %3d × %6.2f\n", i+1, p.Title, l.Count, float64(p.Cents)/100)
	}
	fmt.Fprintf(&text, "Total %.2f\n", float64(sum)/100)
	return text.String()
}
