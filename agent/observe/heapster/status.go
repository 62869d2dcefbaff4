package heapster

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// status remembers what was logged last, so that only changes are.
type status struct {
	log    *zap.Logger
	mu     sync.Mutex
	failed bool   // guarded by mu
	schema string // guarded by mu; empty until points were seen
}

func (s *status) unreachable(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		return
	}
	s.failed = true
	s.log.Warn("series lost", zap.String("reason", string(gopprof.ReasonSeriesUnreachable)), zap.Error(err))
}

// answered notes an answer and the schemas of its points; an answer without points says
// nothing about the schema.
func (s *status) answered(schemas map[heapster.Schema]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		s.failed = false
		s.log.Info("series reachable again")
	}
	var names []string
	for _, schema := range slices.Sorted(maps.Keys(schemas)) {
		names = append(names, string(schema))
	}
	if now := strings.Join(names, "+"); now != "" && now != s.schema {
		s.log.Info("series' schema found", zap.String("schema", now), zap.String("before", s.schema))
		s.schema = now
	}
}
