// Package figures writes numbers as a person reads them: shares, cores, bytes, lengths of
// time. Numbers enter, words leave; nothing is ever written as more, or as less, than it is
// seen to be.
package figures

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Percent writes a ratio. What is not all is never "100 %", what is not nothing never "0 %".
func Percent(ratio float64) string {
	if ratio > 10 {
		return "more than 1000 %"
	}
	return percent(ratio, 0)
}

// Tenths writes a ratio as Percent does, for tables: with a digit after the point, however
// large it is.
func Tenths(ratio float64) string { return percent(ratio, 1) }

func percent(ratio float64, digits int) string {
	write := func(v float64) string { return strconv.FormatFloat(v, 'f', digits, 64) + " %" }
	step := math.Pow10(-digits) // in per cent
	switch {
	case math.IsNaN(ratio) || ratio < 0:
		return "an unknown share"
	case ratio > 0 && ratio*100 < step/2:
		return "less than " + write(step)
	case ratio < 1 && ratio*100 > 100-step:
		return write(100 - step)
	}
	return write(math.Round(ratio*100/step) * step)
}

// Digits writes a number with about three digits.
func Digits(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Cores writes a number of cores as people set it: 0.5, 2, 1.25.
func Cores(v float64) string {
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}

// Size writes bytes in binary units.
func Size(bytes float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for ; bytes >= 1024 && i < len(units)-1; i++ {
		bytes /= 1024
	}
	if i == 0 || bytes == math.Trunc(bytes) {
		return strconv.FormatFloat(bytes, 'f', 0, 64) + " " + units[i]
	}
	return Digits(bytes) + " " + units[i]
}

// Length writes a duration: 1 m, 90 s.
func Length(seconds float64) string {
	if seconds >= 60 && math.Mod(seconds, 60) == 0 {
		return strconv.FormatFloat(seconds/60, 'f', 0, 64) + " m"
	}
	return strings.TrimSuffix(strconv.FormatFloat(seconds, 'f', 1, 64), ".0") + " s"
}

// Plural writes a number of things.
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Tidy keeps four significant digits of a figure that is data: what is beyond them is noise,
// and JSON is read by people too. What is no number is 0, for JSON has no other.
func Tidy(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return short
}
