// Package chance tells what sampling explains. Shares and numbers of looks enter, standard
// errors leave; nothing that chance reaches may be called a difference.
package chance

import "math"

// FalseRate is the probability with which anything of one report may be called different
// that is the same.
const FalseRate = 0.01

// Beyond returns how many standard errors chance reaches in none of so many comparisons, but
// at FalseRate: the two-sided test of the normal distribution at FalseRate over their number
// (Bonferroni; Dunn, Multiple Comparisons among Means, JASA 56, 1961).
func Beyond(comparisons int) float64 {
	return math.Sqrt2 * math.Erfcinv(FalseRate/float64(max(1, comparisons)))
}

// Share is a part of a whole that was estimated from so many looks.
type Share struct {
	Ratio float64 // 0–1
	Looks float64
}

// Sigma is how many standard errors two shares are apart: the test of two proportions
// (Fleiss, Statistical Methods for Rates and Proportions, 1981, 2.1). 0 when there is no
// error that could be told.
func (a Share) Sigma(b Share) float64 {
	e := a.Error(b)
	if !(e > 0) {
		return 0
	}
	return (a.Ratio - b.Ratio) / e
}

// Error is the standard error of the difference of two shares: the root of
// p(1-p) (1/n + 1/m), where p is that of both together.
func (a Share) Error(b Share) float64 {
	p := (a.Ratio*a.Looks + b.Ratio*b.Looks) / (a.Looks + b.Looks)
	variance := p * (1 - p) * (1/a.Looks + 1/b.Looks)
	if !(variance > 0) {
		return 0
	}
	return math.Sqrt(variance)
}
