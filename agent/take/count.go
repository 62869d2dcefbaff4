package take

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Bounds on reading a counter: a capture is neither held up nor lost by it.
const (
	countTimeout  = 2 * time.Second
	countMaxBytes = 8 << 20   // of the page of metrics
	countMaxLines = 256 << 10 // bytes of the counter's own lines
	// countMaxLabels bounds the labels of one line: the parser compares each with those before
	// it, so that a line of thousands costs seconds.
	countMaxLabels = 64
	// countMax is the largest count: beyond it a float64 cannot tell one request from none.
	countMax = 1 << 53
)

// counting reads the counter of requests of a target that was verified, before a CPU profile.
// The function that it returns reads it again and returns how many there were between, 0 when
// that is not known: it could not be read, or it began anew, or the target is gone.
func (j *job) counting(target gopprof.Target) (served func() float64) {
	before, failed := j.count(target)
	return func() float64 {
		if failed != nil {
			return 0
		}
		again, err := j.verified()
		if err != nil || again.Counter != target.Counter {
			return 0
		}
		after, err := j.count(again)
		if err != nil || !(after > before) {
			return 0
		}
		return after - before
	}
}

// count reads the counter of a verified target once.
func (j *job) count(t gopprof.Target) (n float64, err error) {
	e := t.Counter.On(t.Endpoint)
	if err = checkEndpoint(e); err == nil {
		n, err = j.readCounter(e, t.Counter.Metric)
	}
	j.t.metrics.counts.WithLabelValues(string(gopprof.ReasonOf(err))).Inc()
	if err != nil {
		j.log.Warn("requests not counted", zap.String("reason", string(gopprof.ReasonOf(err))), zap.Error(err))
	}
	return n, err
}

func (j *job) readCounter(e gopprof.Endpoint, metric string) (float64, error) {
	ctx, cancel := context.WithTimeout(j.ctx, countTimeout)
	defer cancel()
	at := e.URL("", url.Values{})
	at.Path = e.Path
	page, err := j.page(ctx, e, at, countMaxBytes)
	if err != nil {
		return 0, err
	}
	n, err := sumOf(page, metric)
	if err != nil && gopprof.ReasonOf(err) == "" {
		return 0, &Error{Reason: gopprof.ReasonBadInput, Detail: clean(fmt.Sprintf("metric %s of %s: %v", metric, e.Path, err))}
	}
	return n, err
}

var (
	errNoMetric = errors.New("the page has none of that name")
	errNoCount  = errors.New("its values are no count")
)

// sumOf returns the sum of a metric's values over all of its labels. Only the metric's own
// lines are parsed: a page may have many others.
func sumOf(page []byte, metric string) (float64, error) {
	var own bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(page))
	for lines.Scan() {
		rest, ok := bytes.CutPrefix(lines.Bytes(), []byte(metric))
		if !ok || len(rest) == 0 || rest[0] != '{' && rest[0] != ' ' && rest[0] != '\t' {
			continue
		}
		if bytes.Count(rest, []byte("=")) > countMaxLabels {
			return 0, &Error{Reason: gopprof.ReasonTooLarge, Detail: fmt.Sprintf("a line of more than %d labels", countMaxLabels)}
		}
		own.Write(lines.Bytes())
		own.WriteByte('\n')
		if own.Len() > countMaxLines {
			return 0, tooLarge(countMaxLines)
		}
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&own)
	if err != nil {
		return 0, err
	}
	sum, f := 0.0, families[metric]
	if f == nil {
		return 0, errNoMetric
	}
	for _, m := range f.GetMetric() { // no type was said of it: its line is left out
		sum += m.GetUntyped().GetValue()
	}
	if !(sum >= 0 && sum <= countMax) { // NaN is neither
		return 0, errNoCount
	}
	return sum, nil
}
