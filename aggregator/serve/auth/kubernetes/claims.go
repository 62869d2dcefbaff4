package kubernetes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// maxTokenBytes bounds a token; projected ones have some 1,200 bytes.
	maxTokenBytes = 8 << 10
	// leeway is how far clocks may be apart.
	leeway = 10 * time.Second
	// accountPrefix begins the name of every service account as a user.
	accountPrefix = "system:serviceaccount:"
)

// Identity is whose token it is.
type Identity struct {
	Namespace, ServiceAccount string
	Node                      string // empty: the token is bound to no pod, or the cluster is older than 1.30
	Pod, PodUID               string
	Expiry                    time.Time
}

// Account returns NAMESPACE/NAME of the service account.
func (i Identity) Account() string { return i.Namespace + "/" + i.ServiceAccount }

// claims are those of a projected service-account token.
type claims struct {
	jwt.Claims
	Kubernetes struct {
		Namespace      string `json:"namespace"`
		Node           object `json:"node"`
		Pod            object `json:"pod"`
		ServiceAccount object `json:"serviceaccount"`
	} `json:"kubernetes.io"`
}

type object struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// algorithms are those that the API server signs with; none that needs a shared secret.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}
}

// parse reads a token without believing it.
func parse(token string) (t *jwt.JSONWebToken, keyID string, c claims, err error) {
	if len(token) > maxTokenBytes {
		return nil, "", c, refuse(malformed, fmt.Errorf("more than %d bytes", maxTokenBytes))
	}
	if t, err = jwt.ParseSigned(token, algorithms()); err != nil {
		return nil, "", c, refuse(malformed, errors.New("no signed token")) // the error could quote it
	}
	if err := t.UnsafeClaimsWithoutVerification(&c); err != nil {
		return nil, "", c, refuse(malformed, errors.New("no claims of a service account"))
	}
	if len(t.Headers) != 1 || t.Headers[0].KeyID == "" {
		return nil, "", c, refuse(malformed, errors.New("no key is named"))
	}
	return t, t.Headers[0].KeyID, c, nil
}

// check tells whether the token is for us and now. Issuers that are not known are not
// compared.
func (c claims) check(audience string, issuers []string, now time.Time) error {
	switch {
	case len(issuers) > 0 && !slices.Contains(issuers, c.Issuer):
		return refuse(wrongIssuer, errors.New("made by an issuer that is not this cluster's"))
	case !c.Audience.Contains(audience):
		return refuse(wrongAudience, errors.New("made for another audience"))
	case c.Expiry == nil:
		return refuse(malformed, errors.New("never expires"))
	case !now.Before(c.Expiry.Time()):
		return refuse(expired, fmt.Errorf("expired at %s", c.Expiry.Time().UTC().Format(time.RFC3339)))
	case c.NotBefore != nil && now.Add(leeway).Before(c.NotBefore.Time()):
		return refuse(expired, fmt.Errorf("not before %s", c.NotBefore.Time().UTC().Format(time.RFC3339)))
	}
	return nil
}

// identity is what the claims say, where they agree with each other.
func (c claims) identity() (Identity, error) {
	k := c.Kubernetes
	if k.Namespace == "" || k.ServiceAccount.Name == "" || c.Subject != accountPrefix+k.Namespace+":"+k.ServiceAccount.Name {
		return Identity{}, refuse(malformed, errors.New("subject and service account differ"))
	}
	return Identity{
		Namespace: k.Namespace, ServiceAccount: k.ServiceAccount.Name,
		Node: k.Node.Name, Pod: k.Pod.Name, PodUID: k.Pod.UID, Expiry: c.Expiry.Time(),
	}, nil
}

// account splits the name that a service account has as a user.
func account(user string) (namespace, name string, ok bool) {
	rest, ok := strings.CutPrefix(user, accountPrefix)
	namespace, name, both := strings.Cut(rest, ":")
	return namespace, name, ok && both && namespace != "" && name != ""
}
