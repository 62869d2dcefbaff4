package figures

import (
	"math"
	"testing"
)

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"94 %": Percent(0.94), "99 %": Percent(0.9999), "100 %": Percent(1), "less than 1 %": Percent(0.001), "0 %": Percent(0),
		"more than 1000 %": Percent(11), "an unknown share": Percent(math.NaN()),
		"93.4 %": Tenths(0.9344), "99.9 %": Tenths(0.99999), "100.0 %": Tenths(1), "less than 0.1 %": Tenths(0.0004), "0.0 %": Tenths(0), "110.1 %": Tenths(1.1012), "1250.0 %": Tenths(12.5),
		"0.05": Digits(0.0512), "4.8": Digits(4.79), "123": Digits(123.4),
		"0.5": Cores(0.5), "1.25": Cores(1.25), "0.333": Cores(1.0 / 3),
		"512 B": Size(512), "1 KiB": Size(1024), "24.9 KiB": Size(25498), "128 MiB": Size(128 << 20),
		"1 m": Length(60), "90 s": Length(90), "2.5 s": Length(2.5),
		"1 pod": Plural(1, "pod", "pods"), "2 pods": Plural(2, "pod", "pods"), "0 pods": Plural(0, "pod", "pods"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTidy(t *testing.T) {
	for v, want := range map[float64]float64{0.77950000001: 0.7795, 123456: 123500, 0: 0, -0.123456: -0.1235, math.Inf(1): 0, 1e300: 1e300} {
		if got := Tidy(v); got != want {
			t.Errorf("%v: %v, want %v", v, got, want)
		}
	}
	if got := Tidy(math.NaN()); got != 0 {
		t.Errorf("no number: %v", got)
	}
}
