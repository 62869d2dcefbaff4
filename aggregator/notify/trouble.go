package notify

import (
	"sync"

	"go.uber.org/zap"
)

// troubles are what fails at every turn for as long as the records cannot be had. It tells when
// each begins and ends.
type troubles struct {
	mu  sync.Mutex      // guards all
	all map[string]bool // what fails, of whom
}

// turned notes what became of a turn, and tells whether that is new.
func (t *troubles) turned(what string, failed bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := t.all[what] != failed
	delete(t.all, what)
	if failed {
		t.all[what] = true
	}
	return news
}

// trouble logs what fails, of a receiver or of all, when it begins, and when it is over, which is
// no error.
func (n *Notifier) trouble(what, receiver string, err error) {
	if !n.troubles.turned(what+receiver, err != nil) {
		return
	}
	log := n.log.With(zap.String("receiver", receiver))
	if err != nil {
		log.Warn(what, zap.Error(err))
		return
	}
	log.Info("over: " + what)
}
