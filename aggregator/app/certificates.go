package app

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// certificates tells until when the certificates of our servers are good. They are looked at
// whenever the metric is read: they are replaced while we run.
type certificates struct {
	*prometheus.GaugeVec
	of map[string]func() (*tls.Certificate, error) // by server
}

func newCertificates(of map[string]func() (*tls.Certificate, error)) certificates {
	return certificates{prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "gopprof_aggregator_certificate_expiry_timestamp_seconds",
		Help: "When the certificate that a server shows ends, or the first of its chain (Unix time), by server (api, apiservice, nats).",
	}, []string{"server"}), of}
}

// Collect implements prometheus.Collector.
func (c certificates) Collect(out chan<- prometheus.Metric) {
	for server, shows := range c.of {
		if end, ok := expiry(shows); ok {
			c.WithLabelValues(server).Set(float64(end.Unix()))
		}
	}
	c.GaugeVec.Collect(out)
}

// expiry is when the first certificate of a chain ends.
func expiry(shows func() (*tls.Certificate, error)) (first time.Time, ok bool) {
	chain, err := shows()
	if err != nil {
		return time.Time{}, false
	}
	for _, der := range chain.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return time.Time{}, false
		}
		if first.IsZero() || c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	return first, !first.IsZero()
}

// watchCertificates registers the metric of the certificates of all servers that speak TLS.
func (a *App) watchCertificates() error {
	of := a.serve.Certificates()
	if a.nats != nil {
		if shows := a.nats.Certificate(); shows != nil {
			of["nats"] = shows
		}
	}
	return a.reg.Register(newCertificates(of))
}
