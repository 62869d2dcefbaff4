package group

import (
	"math"
	"slices"
)

// median returns the middle of the values, 0 of none. It sorts them.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return values[n/2]
	}
	return (values[n/2-1] + values[n/2]) / 2
}

// toSigma makes of the median absolute deviation what the standard deviation is of values
// that are spread normally: 1/Φ⁻¹(3/4).
const toSigma = 1.4826

// medianAndSpread returns the middle of the values and how far they are spread about it,
// as a standard deviation that half of the values cannot move.
func medianAndSpread(values []float64) (middle, spread float64) {
	middle = median(slices.Clone(values))
	distances := make([]float64, len(values))
	for i, v := range values {
		distances[i] = math.Abs(v - middle)
	}
	return middle, toSigma * median(distances)
}
