package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Tolerance is how far the two witnesses may be apart and still say the same thing, as a
// share of the local value. Heapster reads the kubelet's own averages over a minute that
// starts and ends a few seconds away from ours.
const Tolerance = 0.15

// Local gives the mean of the local readings over an interval; false when they cover too
// little of it.
type Local func(start, end time.Time) (gopprof.Window, bool)

// Agree compares like with like: for each of the series' own intervals inside the hot
// span, the series' value beside the mean of the local readings over the same interval.
// Any two windows of heat hold at least one whole interval of a series whose resolution is
// one window, whatever the phase between them. What fires at once is compared with the
// intervals that touch its one reading; those may arrive a minute later.
//
// The result is unavailable, with reason series_absent, series_stale or series_absurd, when
// no interval could be compared; the caller may ask again when newer points have arrived.
func Agree(evidence gopprof.Evidence, series []gopprof.Window, local Local) gopprof.Agreement {
	compared, single := compare(evidence, series, local)
	switch {
	case len(compared) == 0:
		return unavailable(evidence, series)
	case single:
		return gopprof.Agreement{Result: gopprof.AgreementSingle, Compared: compared,
			Detail: "the series was written by gopprof's own record, from the same cgroup"}
	}
	localMean, seriesMean := means(compared)
	if agrees(evidence, localMean, seriesMean) {
		return gopprof.Agreement{Result: gopprof.AgreementConfirmed, Compared: compared}
	}
	return gopprof.Agreement{
		Result: gopprof.AgreementContradicted, Compared: compared,
		Detail: fmt.Sprintf("cAdvisor saw %.2f of the limit, the series say %.2f", localMean, seriesMean),
	}
}

// agrees tells whether the series support the heat: they saw it as well, or they are as
// near to the local value as two honest witnesses are. Throttling has no series: there
// the use of CPU is compared, which has no threshold of its own.
func agrees(evidence gopprof.Evidence, local, series float64) bool {
	if evidence.Resource != gopprof.ResourceThrottled && series > evidence.Threshold {
		return true
	}
	return math.Abs(series-local) <= Tolerance*local
}

func compare(evidence gopprof.Evidence, series []gopprof.Window, local Local) (compared []gopprof.Comparison, single bool) {
	resource := seriesResource(evidence.Resource)
	for _, w := range series {
		ratio, ok := w.Ratio(resource)
		if !ok || !inside(evidence, w) {
			continue
		}
		mine, ok := local(localSpan(resource, w))
		if !ok {
			continue
		}
		mineRatio, ok := mine.Ratio(resource)
		if !ok || neitherHot(evidence, mineRatio, ratio) {
			continue
		}
		single = single || w.Witness == gopprof.WitnessRecord
		compared = append(compared, gopprof.Comparison{Start: w.Start, End: w.End, Local: mineRatio, Series: ratio})
	}
	return compared, single
}

// inside tells whether an interval of the series lies in the hot span. What fires at once
// has a span of one reading, which no interval fits in: there an interval that touches the
// reading counts. One that ended before it cannot have seen it.
func inside(evidence gopprof.Evidence, w gopprof.Window) bool {
	start, end := evidence.Hot()
	if evidence.AtOnce {
		return w.End.After(start) && w.Start.Before(end)
	}
	return !w.Start.Before(start) && !w.End.After(end)
}

// neitherHot tells whether an interval that touches a reading that fired at once shows the
// heat to neither witness: memory's series is the value at the interval's end, when the
// jump may be still to come or over again. Two quiet values say nothing of the heat, alike
// or not. Throttling's level is not one of the CPU that is compared.
func neitherHot(evidence gopprof.Evidence, local, series float64) bool {
	return evidence.AtOnce && evidence.Resource != gopprof.ResourceThrottled &&
		series <= evidence.Threshold && local < (1-Tolerance)*evidence.Threshold
}

// localSpan returns the span of local readings that is like the series' interval: all of
// it for CPU, its last third for memory, which Heapster reads once, at the interval's end.
func localSpan(resource gopprof.Resource, w gopprof.Window) (start, end time.Time) {
	if resource == gopprof.ResourceMemory {
		return w.End.Add(-w.End.Sub(w.Start) / 3), w.End
	}
	return w.Start, w.End
}

func seriesResource(r gopprof.Resource) gopprof.Resource {
	if r == gopprof.ResourceThrottled {
		return gopprof.ResourceCPU
	}
	return r
}

func means(compared []gopprof.Comparison) (local, series float64) {
	for _, c := range compared {
		local += c.Local / float64(len(compared))
		series += c.Series / float64(len(compared))
	}
	return local, series
}

// unavailable says why nothing could be compared: points of the hot span that cannot be
// true are a reason before the age of those that can.
func unavailable(evidence gopprof.Evidence, series []gopprof.Window) gopprof.Agreement {
	resource := seriesResource(evidence.Resource)
	start, end := evidence.Hot()
	newest, absurd, hot := time.Time{}, 0, false
	for _, w := range series {
		if _, ok := w.Ratio(resource); !ok {
			absurd += w.AbsurdPoints
			hot = hot || w.AbsurdPoints > 0 && w.End.After(start)
		} else if w.End.After(newest) {
			newest = w.End
		}
	}
	answer := gopprof.Agreement{Result: gopprof.AgreementUnavailable}
	switch {
	case hot, newest.IsZero() && absurd > 0:
		answer.Reason = gopprof.ReasonSeriesAbsurd
		answer.Detail = fmt.Sprintf("%d points of this container cannot be true: of the future, two for one minute that differ, or no use that can be", absurd)
	case newest.IsZero():
		answer.Reason = gopprof.ReasonSeriesAbsent
		answer.Detail = "no point of this container with a limit"
	case evidence.AtOnce:
		answer.Reason = gopprof.ReasonSeriesStale
		answer.Detail = fmt.Sprintf("newest point %s; none that came in time shows the reading of %s", newest.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
	default:
		answer.Reason = gopprof.ReasonSeriesStale
		answer.Detail = fmt.Sprintf("newest point %s, hot since %s", newest.UTC().Format(time.RFC3339), start.UTC().Format(time.RFC3339))
	}
	return answer
}
