// Package addresses checks where parcels go. It makes its patterns anew for every field of
// every address.
package addresses

import (
	"fmt"
	"net/http"
	"regexp"
)

// HotFunction is the name under which checking stands in a CPU profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/addresses.valid"

// Address is where a parcel goes.
type Address struct{ Name, Street, Postcode, City, Mail, Phone string }

// Book checks addresses.
type Book struct{}

// ServeHTTP answers POST /addresses?… with what is wrong with the address.
func (Book) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a := Address{q.Get("name"), q.Get("street"), q.Get("postcode"), q.Get("city"), q.Get("mail"), q.Get("phone")}
	if field := firstInvalid(a); field != "" {
		http.Error(w, fmt.Sprintf("%s is not valid", field), http.StatusBadRequest)
	}
}

func firstInvalid(a Address) string {
	for _, f := range [][3]string{
		{"name", a.Name, `^[\p{L}][\p{L}' .-]{1,60}$`},
		{"street", a.Street, `^[\p{L}' .-]{2,60} [0-9]{1,4}[a-zA-Z]?$`},
		{"postcode", a.Postcode, `^([A-Z]{1,2}-)?[0-9]{4,5}$`},
		{"city", a.City, `^[\p{L}' .-]{2,60}$`},
		{"mail", a.Mail, `^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$`},
		{"phone", a.Phone, `^\+?[0-9]{1,3}([ -]?[0-9]{2,4}){2,5}$`},
	} {
		if !valid(f[1], f[2]) {
			return f[0]
		}
	}
	return ""
}

func valid(value, pattern string) bool {
	ok, err := regexp.MatchString(pattern, value)
	return ok && err == nil
}
