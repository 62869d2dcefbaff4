package soak

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// compareMetrics checks that the agent counts what its log says, in this life.
func (s *scene) compareMetrics(ctx context.Context) {
	s.t.Helper()
	metrics, err := get(ctx, strings.TrimSuffix(s.Status, "/status")+"/metrics")
	must(s.t, err)
	said := map[string]int{}
	lines, _ := s.Agent.Lines()
	for _, l := range lines {
		switch l.Text("msg") {
		case lineFired:
			said["fired"]++
		case lineNothing:
			said[l.Text("reason")]++
		}
	}
	counted := sum(metrics, "gopprof_agent_judge_refused_firings_total")
	counted["fired"] = sum(metrics, "gopprof_agent_judge_decisions_total")["fired"]
	for reason := range mayBe() {
		if said[reason] != counted[reason] {
			s.t.Errorf("%s: the agent's log says %d, its metrics %d", reason, said[reason], counted[reason])
		}
	}
	if said["fired"] != counted["fired"] {
		s.t.Errorf("the agent's log says that rules fired %d times, its metrics %d", said["fired"], counted["fired"])
	}
}

// sum adds up a counter by its label reason.
func sum(metrics []byte, name string) map[string]int {
	sums := map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(metrics)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name+"{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(rest, "} ")
		_, reason, _ := strings.Cut(labels, `reason="`)
		reason, _, _ = strings.Cut(reason, `"`)
		n, _ := strconv.ParseFloat(value, 64)
		sums[reason] += int(n)
	}
	return sums
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 64<<20))
}

func getJSON(ctx context.Context, url string, into any) error {
	data, err := get(ctx, url)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
