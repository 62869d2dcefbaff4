package discover

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// DefaultMetricsPath is where the Prometheus community shows metrics.
const DefaultMetricsPath = "/metrics"

// metricText is what Prometheus calls a metric without quotes, of a length that fits a line.
var metricText = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$`)

// CheckCounter tells everything that is wrong with a counter of requests, or nil.
func CheckCounter(c gopprof.Counter) error {
	var errs []error
	if !metricText.MatchString(c.Metric) {
		errs = append(errs, fmt.Errorf("metric %q: must be the name of a counter, such as http_requests_total", clip(c.Metric)))
	}
	if c.Port < 0 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("port %d: must be 1 to 65535", c.Port))
	}
	if err := checkPath(c.Path); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
