package auth

import (
	"context"
	"net"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Finder knows callers by tokens. An error means that nobody could say.
type Finder interface {
	Find(ctx context.Context, token string) (Caller, bool, error)
}

// Options say how callers are known. Without Tokens and Reviews everybody is anonymous.
type Options struct {
	Tokens  *Tokens                                                     // the file's, asked first; may be nil
	Reviews Finder                                                      // asked about all others; may be nil
	Alerts  *AlertSecret                                                // opens POST /api/v1/alerts alone; may be nil
	Origins []string                                                    // "scheme://host" of pages that may change something, beside those of the Host header
	Hosts   []string                                                    // names of this server beside loopback's, for anonymous callers
	Log     *zap.Logger                                                 // where every request leaves a line; nil: nowhere
	Refuse  func(w http.ResponseWriter, r *http.Request, p api.Problem) // writes a refusal
}

// Guard lets those requests through to next that may come, with their Caller.
func Guard(o Options, next http.Handler) http.Handler {
	sites := sameSite(o.Origins, o.Refuse)
	return audited(o.Log, wayDirect, sites.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, refusal := o.identify(r)
		if refusal != nil {
			if refusal.Status == http.StatusUnauthorized {
				w.Header().Add("WWW-Authenticate", `Bearer realm="gopprof"`)
				w.Header().Add("WWW-Authenticate", `Basic realm="gopprof", charset="UTF-8"`)
			}
			o.Refuse(w, r, *refusal)
			return
		}
		lineOf(r.Context()).who = caller.Name
		next.ServeHTTP(w, r.WithContext(With(r.Context(), caller)))
	})))
}

// sameSite refuses requests of browsers that change something and come from another site's
// page than this server's or those of origins.
func sameSite(origins []string, refuse func(http.ResponseWriter, *http.Request, api.Problem)) *http.CrossOriginProtection {
	sites := http.NewCrossOriginProtection()
	for _, origin := range origins {
		if err := sites.AddTrustedOrigin(origin); err != nil {
			panic(err) // the configuration was checked
		}
	}
	sites.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, forbidden("requests that change something must not come from another site's page"))
	}))
	return sites
}

func (o Options) identify(r *http.Request) (Caller, *api.Problem) {
	if o.Alerts.opens(r) {
		return o.identifyAlerting(r)
	}
	if o.Tokens == nil && o.Reviews == nil {
		if !o.known(r.Host) {
			p := forbidden("the Host header does not name this server: without tokens only loopback names and the host of external_url are answered")
			return Caller{}, &p
		}
		return Anonymous, nil
	}
	return o.identifyBearer(r, o.find)
}

// identifyAlerting knows who brings the secret for alerts, and, as ever, who brings a token.
// Where a secret is configured nobody is anonymous here.
func (o Options) identifyAlerting(r *http.Request) (Caller, *api.Problem) {
	return o.identifyBearer(r, func(ctx context.Context, token string) (Caller, bool, error) {
		caller, ok, unread := o.Alerts.find(token)
		if ok {
			return caller, true, nil
		}
		caller, ok, err := o.find(ctx, token)
		if !ok && err == nil {
			err = unread
		}
		return caller, ok, err
	})
}

func (o Options) identifyBearer(r *http.Request, find func(ctx context.Context, token string) (Caller, bool, error)) (Caller, *api.Problem) {
	token := presented(r)
	if token == "" {
		p := unknown("a token is needed: as a bearer token, or as the password of basic authentication")
		return Caller{}, &p
	}
	caller, ok, err := find(r.Context(), token)
	switch {
	case err != nil:
		return Caller{}, &api.Problem{Status: http.StatusServiceUnavailable, Reason: gopprof.ReasonNoAnswer,
			Detail: "nobody can say now whose token this is: the API server did not answer, or the secret for alerts cannot be read"}
	case !ok:
		p := unknown("this token is not known")
		return Caller{}, &p
	}
	return caller, nil
}

// find asks the file of tokens first: it needs nobody else.
func (o Options) find(ctx context.Context, token string) (Caller, bool, error) {
	if o.Tokens != nil {
		if caller, ok := o.Tokens.Find(token); ok {
			return caller, true, nil
		}
	}
	if o.Reviews == nil {
		return Caller{}, false, nil
	}
	return o.Reviews.Find(ctx, token)
}

// presented returns the token of a request.
func presented(r *http.Request) string {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	_, password, _ := r.BasicAuth()
	return password
}

// known tells whether a Host header names this server. A page that somebody lured a
// browser to can make its own name resolve to 127.0.0.1, but the browser still sends that
// name.
func (o Options) known(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if ip := net.ParseIP(name); ip != nil {
		if ip.IsLoopback() {
			return true
		}
	} else if name == "localhost" {
		return true
	}
	for _, h := range o.Hosts {
		if strings.EqualFold(h, name) || strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

func forbidden(detail string) api.Problem {
	return api.Problem{Status: http.StatusForbidden, Reason: gopprof.ReasonForbidden, Detail: detail}
}
