package serve

import (
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/gopprof/gopprof/aggregator/serve/apiservice"
	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/selfca"
)

// APIServer is the API server whose users come by way of the aggregated API.
type APIServer struct {
	Cluster string                      // whose it is; it knows rights on namespaces of this one alone
	Trust   func() auth.Trust           // how it is known itself
	Rights  func(auth.User) auth.Rights // what a user may do
}

// openBack makes the door for the API server, if there is to be one. inner is the HTTP API at
// no prefix, for the caller of each request's context.
func (s *Server) openBack(from APIServer, see scope, inner http.Handler, now func() time.Time) error {
	c := s.cfg.APIService
	if c.Listen == "" {
		return nil
	}
	if from.Trust == nil || from.Rights == nil {
		return errors.New("serving api_service: there is no kubernetes whose users could come")
	}
	// The certificate of a client is looked at for each request: who signs it may change.
	back := &door{listen: c.Listen, certFile: c.TLSCertFile, keyFile: c.TLSKeyFile, clients: tls.RequestClientCert}
	var err error
	if c.ownCA() {
		back.own, err = selfca.Open(c.OwnCA, now, s.log)
	} else {
		err = back.load()
	}
	if err != nil {
		return err
	}
	back.handler = s.outermost(auth.Proxied(auth.ProxyOptions{
		Cluster: from.Cluster, Trust: from.Trust, Rights: from.Rights, Now: now, Log: s.log,
		Refuse: s.refuseAtBack,
	}, apiservice.New(apiservice.Deps{Cluster: from.Cluster, Reports: see, Nodes: see.Nodes, API: inner, Now: now, Log: s.log})))
	s.listener.back = back
	return nil
}

// CA returns the certificates (PEM) that the API server must trust, and a channel that is
// closed when there are others; false when the certificate is not of our own making.
func (s *Server) CA() (pem []byte, changed <-chan struct{}, own bool) {
	if s.listener.back == nil || s.listener.back.own == nil {
		return nil, nil, false
	}
	pem, changed = s.listener.back.own.Bundle()
	return pem, changed, true
}

// refuseAtBack answers what auth does not let through.
func (s *Server) refuseAtBack(w http.ResponseWriter, r *http.Request, p api.Problem) {
	s.metrics.refused.WithLabelValues(string(p.Reason)).Inc()
	apiservice.Refuse(w, r, p)
}
