package picture

import (
	"math"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// scale is a panel's vertical axis.
type scale struct {
	top, step float64 // of the values
	divisor   float64 // a value over it is what a label says
	unit      string  // of the labels
}

// mostShown is the ratio above which values stand at the upper edge: one reading after a
// limit was cut must not flatten everything else.
const mostShown = 20

// scaleOf returns the axis for a panel: from nothing to a little above the limit, and
// further when the use went there.
func scaleOf(p panel) scale {
	most := p.most()
	switch {
	case p.ratios:
		most = math.Min(math.Max(most, p.threshold), mostShown)
		if most <= 1.1 {
			return scale{top: 1.15, step: 0.25, divisor: 0.01, unit: "%"}
		}
		return roundScale(most, 0.01, "%")
	case p.resource == gopprof.ResourceMemory:
		divisor, unit := byteUnit(most)
		return roundScale(math.Max(most, 1024), divisor, unit)
	}
	return roundScale(math.Max(most, 0.01), 1, "cores")
}

// roundScale has at most six steps up to something above most.
func roundScale(most, divisor float64, unit string) scale {
	step := roundStep(most/divisor/4) * divisor
	return scale{top: step * math.Ceil(most*1.05/step), step: step, divisor: divisor, unit: unit}
}

// roundStep returns the next of …, 1, 2, 2.5, 5, 10, … that is not below v.
func roundStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 2.5, 5} {
		if v <= n*power {
			return n * power
		}
	}
	return 10 * power
}

func byteUnit(most float64) (divisor float64, unit string) {
	divisor, units := 1024.0, []string{"KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for ; most >= 1024*divisor && i < len(units)-1; i++ {
		divisor *= 1024
	}
	return divisor, units[i]
}
