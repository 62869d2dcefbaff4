package announce

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

type publisher struct {
	reports []gopprof.Report
	err     error
}

func (p *publisher) PublishReport(_ context.Context, r gopprof.Report) error {
	p.reports = append(p.reports, r)
	return p.err
}

func TestAnnounce(t *testing.T) {
	p := &publisher{}
	a := New(p, zap.NewNop(), prometheus.NewRegistry())
	for range 2 {
		if err := a.Announce(t.Context(), gopprof.Report{ID: "r"}); err != nil {
			t.Error(err)
		}
	}
	if len(p.reports) != 2 || p.reports[0].ID != "r" {
		t.Errorf("published %v", p.reports)
	}
	p.err = errors.New("away")
	if err := a.Announce(t.Context(), gopprof.Report{ID: "r"}); !errors.Is(err, p.err) || !strings.Contains(err.Error(), `"r"`) {
		t.Errorf("got %v, want the publisher's error and the report's name", err)
	}
}
