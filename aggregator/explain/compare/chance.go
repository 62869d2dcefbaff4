package compare

import "math"

// amount is a figure that was estimated by looking now and then: cores, bytes, goroutines.
type amount struct {
	value   float64
	perLook float64 // what one look stands for, in the same unit
}

// variance is the sampling error of an amount, squared.
//
// A CPU profiler looks once in 10 ms of CPU time of each thread: a function that uses c
// cores for T seconds is seen n = 100 c T times, more or less. The looks are independent of
// what runs, so n is Poisson distributed and its variance is n; an amount a = n q, where q
// is what one look stands for, has the variance n q² = a q. Of what was never seen, one look
// is taken for the error, so that nothing is certain to be nothing. (Poisson counts:
// Cochran, Sampling Techniques, 1977, 3.2; the kernel's timers that look drift against the
// program, which makes them as good as random.) The heap profiler looks once in 512 KiB that
// are allocated, at random distances (runtime/mprof.go), with the same result; goroutines
// are counted one by one, and their number is then treated as one of many that it could have
// been a moment before or after.
func (a amount) variance() float64 { return max(a.value, a.perLook) * a.perLook }

// pair is one figure of the capture and of the others.
type pair struct {
	here   amount
	others []amount
}

func mean(all []amount) float64 {
	if len(all) == 0 {
		return 0
	}
	sum := 0.0
	for _, a := range all {
		sum += a.value
	}
	return sum / float64(len(all))
}

// sigma is how many standard errors the capture's figure is above the others' mean.
//
// The variance of the difference of two independent estimates is the sum of theirs; that of
// a mean of n is the sum of theirs over n² (for two Poisson counts this is the normal form
// of the test of Przyborowski and Wilenski, Biometrika 31, 1940). Pods differ among each
// other besides: their spread s², estimated from two others or more, is added as that of
// one more such pod, s² (1 + 1/n), where it exceeds what sampling alone gives.
func (p pair) sigma() float64 {
	n := float64(len(p.others))
	m := mean(p.others)
	sampling, spread := 0.0, 0.0
	for _, o := range p.others {
		sampling += o.variance() / (n * n)
		spread += (o.value - m) * (o.value - m)
	}
	variance := p.here.variance() + sampling
	if n >= 2 {
		variance = max(variance, spread/(n-1)*(1+1/n))
	}
	if !(variance > 0) {
		return 0
	}
	return (p.here.value - m) / math.Sqrt(variance)
}
