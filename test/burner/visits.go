package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gopprof/gopprof/test/burner/catalog"
	"github.com/gopprof/gopprof/test/burner/checkout"
	"github.com/gopprof/gopprof/test/burner/search"
)

const (
	products  = 4000
	customers = 1000
)

// pages are the ordinary pages, with what is needed to show them.
func (s *stands) pages(mux *http.ServeMux) {
	goods := catalog.NewProducts(products)
	mux.Handle("GET /products", goods)
	mux.Handle("POST /checkout", checkout.Service{Products: goods})
	mux.Handle("/sessions", s.sessions)
	mux.Handle("GET /search", search.NewIndex(goods))
}

// ordinary is what visitors ask for all day: to see a product, to find one, to buy some, to
// be known.
func ordinary(n int) *http.Request {
	switch n % 8 {
	case 0, 1, 2:
		return visit(http.MethodGet, "/products?sku="+catalog.SKU(n%products), "")
	case 3, 4:
		return visit(http.MethodGet, fmt.Sprintf("/sessions?customer=c%d", n%customers), "")
	case 5, 6:
		return visit(http.MethodGet, "/search?q=green+oak+lamp+kettle", "")
	default:
		return visit(http.MethodPost, "/checkout", basket(n))
	}
}

func basket(n int) string {
	var lines []string
	for i := range 6 {
		lines = append(lines, fmt.Sprintf(`{"sku":%q,"count":%d}`, catalog.SKU((n*17+i*31)%products), i+1))
	}
	return fmt.Sprintf(`{"customer":"c%d","lines":[%s]}`, n%customers, strings.Join(lines, ","))
}

// visit is a request as net/http would hand it over.
func visit(method, target, body string) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		panic("a visitor asks for what is no page: " + err.Error()) // they are all written here
	}
	r := &http.Request{
		Method: method, URL: u, RequestURI: target, Host: "shop.example", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {"visitor/1.0"}, "Accept": {"*/*"}}, RemoteAddr: "192.0.2.7:40000",
		Body: http.NoBody, ContentLength: int64(len(body)),
	}
	if body != "" {
		r.Body = readCloser{strings.NewReader(body)}
	}
	return r
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// again asks for the same page over and over, with the visitor's number at its end.
func again(method, target string) func(int) *http.Request {
	return func(n int) *http.Request { return visit(method, fmt.Sprint(target, n), "") }
}
