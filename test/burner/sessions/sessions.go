// Package sessions knows who is logged in. Checking a token is ordinary work; sessions of
// guests are never given up.
package sessions

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"sync"
)

// GrowingFunction is the name under which sessions stand in a heap profile.
const GrowingFunction = "github.com/gopprof/gopprof/test/burner/sessions.newSession"

// SessionBytes is about how much a session takes.
const SessionBytes = 4 << 10

// Store holds the sessions.
type Store struct {
	mu   sync.Mutex // guards byID
	byID map[string]*session
}

type session struct {
	customer string
	seen     []string // pages
	basket   [SessionBytes - 300]byte
}

// NewStore returns a store of so many customers.
func NewStore(customers int) *Store {
	s := &Store{byID: map[string]*session{}}
	for i := range customers {
		s.open("c" + strconv.Itoa(i))
	}
	return s
}

// ServeHTTP answers GET /sessions?customer=… or POST /sessions, which opens one.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	customer := r.URL.Query().Get("customer")
	if r.Method == http.MethodPost {
		s.open(customer)
		return
	}
	if !s.has(token(customer)) {
		http.Error(w, "please log in", http.StatusUnauthorized)
	}
}

func (s *Store) open(customer string) {
	id := token(customer)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[id] = newSession(customer)
}

func newSession(customer string) *session {
	s := &session{customer: customer, seen: make([]string, 0, 8)}
	for i := 0; i < len(s.basket); i += 512 {
		s.basket[i] = 1
	}
	return s
}

func (s *Store) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.byID[id]
	return ok
}

// Keep gives up all sessions but those of so many customers.
func (s *Store) Keep(customers int) {
	fresh := NewStore(customers)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID = fresh.byID
}

func token(customer string) string {
	mac := hmac.New(sha256.New, []byte("key of the shop"))
	mac.Write([]byte(customer))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
