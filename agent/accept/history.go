package accept

import (
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// historyMax is how many captures are remembered.
const historyMax = 1024

// history remembers the answer to each accepted request.
type history struct {
	outcomes map[string]gopprof.CaptureReply
	ids      []string // oldest first
}

func (h *history) get(id string) (gopprof.CaptureReply, bool) {
	r, ok := h.outcomes[id]
	return r, ok
}

func (h *history) put(id string, r gopprof.CaptureReply) {
	if _, ok := h.outcomes[id]; !ok {
		h.ids = append(h.ids, id)
	}
	h.outcomes[id] = r
	if len(h.ids) > historyMax {
		delete(h.outcomes, h.ids[0])
		h.ids = slices.Delete(h.ids, 0, 1)
	}
}
