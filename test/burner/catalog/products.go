package catalog

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// Product is what the shop sells.
type Product struct {
	SKU      string   `json:"sku"`
	Title    string   `json:"title"`
	Cents    int      `json:"cents"`
	Stock    int      `json:"stock"`
	Keywords []string `json:"keywords"`
}

// Products are all that the shop sells, by SKU. They do not change.
type Products map[string]Product

var (
	materials = []string{"oak", "linen", "copper", "glass", "wool", "cork", "steel", "paper", "clay", "felt", "silk", "brass"}
	things    = []string{"lamp", "chair", "kettle", "basket", "blanket", "mirror", "shelf", "vase", "clock", "table", "rug", "stool", "tray"}
	colours   = []string{"white", "green", "amber", "blue", "grey", "rose", "black"}
)

// NewProducts returns so many.
func NewProducts(n int) Products {
	p := Products{}
	for i := range n {
		words := []string{colours[i%len(colours)], materials[i%len(materials)], things[i%len(things)]}
		sku := SKU(i)
		p[sku] = Product{SKU: sku, Title: fmt.Sprintf("%s %s %s no. %d", words[0], words[1], words[2], i), Cents: 500 + 37*i%9000, Stock: i % 50, Keywords: words}
	}
	return p
}

// SKU is the n-th product's.
func SKU(n int) string { return "sku-" + strconv.Itoa(n) }

// ServeHTTP answers GET /products?sku=… with the product.
func (p Products) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	product, ok := p[r.URL.Query().Get("sku")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	text, err := json.Marshal(product)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}
