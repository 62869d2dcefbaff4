// Package accounts lets customers in. It derives a key from the password for every request,
// not once for every session.
package accounts

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// HotFunction is the name under which deriving stands in a CPU profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/accounts.passwordKey"

const rounds = 6000

// Book knows the customers' keys.
type Book struct{ key []byte }

// NewBook returns a book in which everybody has the same password.
func NewBook(password string) (*Book, error) {
	key, err := passwordKey(password)
	return &Book{key}, err
}

// ServeHTTP answers requests with basic authentication.
func (b *Book) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, password, ok := r.BasicAuth(); !ok || !b.knows(password) {
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}
}

func (b *Book) knows(password string) bool {
	key, err := passwordKey(password)
	return err == nil && subtle.ConstantTimeCompare(key, b.key) == 1
}

func passwordKey(password string) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, []byte("salt of the shop"), rounds, 32)
}
