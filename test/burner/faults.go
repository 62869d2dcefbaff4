package main

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gopprof/gopprof/test/burner/accounts"
	"github.com/gopprof/gopprof/test/burner/addresses"
	"github.com/gopprof/gopprof/test/burner/audit"
	"github.com/gopprof/gopprof/test/burner/carts"
	"github.com/gopprof/gopprof/test/burner/delivery"
	"github.com/gopprof/gopprof/test/burner/front"
	"github.com/gopprof/gopprof/test/burner/payments"
	"github.com/gopprof/gopprof/test/burner/quotes"
	"github.com/gopprof/gopprof/test/burner/receipts"
	"github.com/gopprof/gopprof/test/burner/sessions"
	"github.com/gopprof/gopprof/test/burner/shipping"
	"github.com/gopprof/gopprof/test/burner/statements"
	"github.com/gopprof/gopprof/test/burner/stock"
	"github.com/gopprof/gopprof/test/burner/thumbnails"
	"github.com/gopprof/gopprof/test/burner/tracking"
)

// stands are the parts of the shop that something can be wrong with.
type stands struct {
	audit    *audit.Trail
	carts    *carts.Table
	payments *payments.Gateway
	quotes   *quotes.Desk
	sessions *sessions.Store
	shelf    *thumbnails.Shelf
	stock    *stock.Shelves
	tracking *tracking.Feed
	routes   *http.ServeMux
	door     *front.Door

	mu    sync.Mutex // guards the fields below
	fault string
	level float64
	end   func()
}

const password = "open, sesame"

func newStands() (*stands, error) {
	gateway, err := payments.NewGateway()
	if err != nil {
		return nil, err
	}
	book, err := accounts.NewBook(password)
	if err != nil {
		return nil, errors.Join(err, gateway.Close())
	}
	s := &stands{
		audit: audit.NewTrail(), carts: carts.NewTable(), payments: gateway, quotes: &quotes.Desk{}, sessions: sessions.NewStore(customers),
		shelf: thumbnails.NewShelf(), stock: &stock.Shelves{}, tracking: tracking.NewFeed(), routes: http.NewServeMux(),
	}
	s.pages(s.routes)
	for pattern, h := range map[string]http.Handler{
		"POST /accounts": book, "POST /addresses": addresses.Book{}, "POST /audit": s.audit, "/carts": s.carts, "POST /delivery": &delivery.Plan{},
		"POST /payments": s.payments, "GET /quotes": s.quotes, "GET /receipts": receipts.NewArchive(60), "GET /shipping": shipping.NewDesk(300),
		"GET /statements": statements.Printer{}, "POST /stock": s.stock, "POST /thumbnails": s.shelf, "POST /tracking": s.tracking,
	} {
		s.routes.Handle(pattern, h)
	}
	s.door = front.NewDoor(s.routes, ordinary)
	return s, nil
}

// A fault is one thing that goes wrong in services.
type fault struct {
	unit  string  // of its level
	most  float64 // level
	crowd func(level float64) front.Crowd
	free  func(*stands) // sends away who waits in vain, again and again until all have left; nil when nobody does
	after func(*stands) // takes back what it left; nil when it leaves nothing
}

// maxMebibytes bounds what faults leave in memory.
const maxMebibytes = 1 << 10

// maxCores bounds what faults burn.
const maxCores = 64

// faults are all that can be planted, by the names that testers use: the shop's own code
// knows none of them.
func faults() map[string]fault {
	return map[string]fault{
		"regexp":         busy(again("GET", "/search?like=o*a*+l*p*+no*&page="), 2),
		"regexp-compile": busy(again("POST", "/addresses?name=Ada+Byron&street=Nelson+Road+12b&postcode=CH-4051&city=Basel&mail=ada@shop.example&phone=%2B41+61+123+45+67&try="), 2),
		"json":           busy(again("GET", "/receipts?for="), 2),
		"hash":           busy(login, 2),
		"sort":           busy(again("GET", "/shipping?parcels=12&grams="), 2),
		"concat":         busy(again("GET", "/statements?lines=700&page="), 2),
		"allocations":    withAfter(busy(again("GET", "/quotes?customer="), 4), func(s *stands) { s.quotes.Forget() }),
		"mutex":          withAfter(busy(again("POST", "/stock?basket="), 200), func(s *stands) { s.stock.Close() }),
		"log":            busy(again("POST", "/payments?order="), 2),
		"clock":          busy(again("POST", "/delivery?parcel="), 2),
		"channel":        withFree(growing(again("POST", "/audit?page="), audit.EntryBytes+8<<10), func(s *stands) { s.audit.Dismiss() }),
		"goroutines":     withAfter(countless(again("POST", "/tracking?parcel=")), func(s *stands) { s.tracking.Close() }),
		"map":            withAfter(growing(again("POST", "/sessions?customer=guest-"), sessions.SessionBytes), func(s *stands) { s.sessions.Keep(customers) }),
		"map-deleted":    withAfter(sale(), func(s *stands) { s.carts.Clear() }),
		"slice":          withAfter(growing(again("POST", "/thumbnails?picture="), thumbnails.PictureBytes), func(s *stands) { s.shelf.Clear() }),
	}
}

// busy uses CPU: level is the cores of the whole process, its ordinary visitors included.
func busy(visit front.Visit, people int) fault {
	return fault{unit: "cores", most: maxCores, crowd: func(level float64) front.Crowd {
		return front.Crowd{Visit: visit, Cores: level, People: max(people, int(2*level))}
	}}
}

// growing leaves so many bytes per visit: level is the mebibytes that it leaves in all.
func growing(visit front.Visit, each float64) fault {
	return fault{unit: "MiB", most: maxMebibytes, crowd: func(level float64) front.Crowd {
		return front.Crowd{Visit: visit, Visits: int(level * (1 << 20) / each)}
	}}
}

// countless leaves a goroutine per visit, with 12 KiB and a stack: level is their number.
func countless(visit front.Visit) fault {
	return fault{unit: "goroutines", most: 40_000, crowd: func(level float64) front.Crowd {
		return front.Crowd{Visit: visit, Visits: int(level)}
	}}
}

// sale fills the carts' table and empties it with the last visit.
func sale() fault {
	f := growing(nil, carts.RequestBytes)
	grow := f.crowd
	f.crowd = func(level float64) front.Crowd {
		c := grow(level)
		bring := again("POST", "/carts?sku=")
		c.Visit = func(n int) *http.Request {
			if n == c.Visits-1 {
				return visit("DELETE", "/carts", "")
			}
			return bring(n)
		}
		return c
	}
	return f
}

func withAfter(f fault, after func(*stands)) fault {
	f.after = after
	return f
}

func withFree(f fault, free func(*stands)) fault {
	f.free = free
	return f
}

func login(int) *http.Request {
	r := visit(http.MethodPost, "/accounts", "")
	r.SetBasicAuth("ada", password)
	return r
}

// plant lets a fault in, in place of the one before; "none" ends it. What grows does so
// evenly over a time.
func (s *stands) plant(name string, level float64, over time.Duration) error {
	f, known := faults()[name]
	switch {
	case name == "none":
	case !known:
		return fmt.Errorf("fault %q: there is none of that name", name)
	case !(level > 0 && level <= f.most):
		return fmt.Errorf("level of fault %q must be above 0 and up to %g %s", name, f.most, f.unit)
	case over < 0 || over > time.Hour:
		return fmt.Errorf("over must be a duration up to an hour")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		s.end()
	}
	if s.fault, s.level, s.end = "", 0, nil; name == "none" {
		return nil
	}
	crowd := f.crowd(level)
	crowd.Over = over
	leave := s.door.Let(crowd)
	s.fault, s.level = name, level
	s.end = func() { s.takeBack(f, leave) }
	return nil
}

// takeBack ends a fault. Those who wait in vain are freed while the crowd leaves: it leaves
// when the last of them is served.
func (s *stands) takeBack(f fault, leave func()) {
	left := make(chan struct{})
	go func() { defer close(left); leave() }()
	for waiting := true; waiting; {
		if f.free != nil {
			f.free(s)
		}
		select {
		case <-left:
			waiting = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	if f.after != nil {
		f.after(s)
	}
	debug.FreeOSMemory()
}

// planted is what is wrong now.
func (s *stands) planted() (name string, level float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault, s.level
}

func (s *stands) close() {
	_ = s.plant("none", 0, 0)
	s.door.Open(front.Load{})
	_ = s.payments.Close()
}
