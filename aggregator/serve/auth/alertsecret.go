package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/config"
)

// alertCaller is the name of who brings the secret for alerts.
const alertCaller = "alertmanager"

// AlertSecret is a secret that opens POST /api/v1/alerts, and nothing else.
type AlertSecret struct {
	file   config.SecretFile
	caller Caller
	log    *zap.Logger
	unread atomic.Bool // the file cannot be read, which the log was told of
}

// OpenAlertSecret returns the secret in a file, which lets pods of some namespaces be
// profiled, of all if none is named. It fails when there is none that could be kept secret.
func OpenAlertSecret(file config.SecretFile, namespaces []string, log *zap.Logger) (*AlertSecret, error) {
	s := &AlertSecret{file: file, log: log, caller: Caller{Name: alertCaller, Rights: Fixed{
		Everywhere: len(namespaces) == 0, Namespaces: namespaces, Verbs: []Verb{Profile},
	}}}
	_, err := s.read()
	return s, err
}

func (s *AlertSecret) read() (string, error) {
	secret, err := s.file.Read()
	if err != nil {
		return "", fmt.Errorf("reading the secret for alerts: %w", err)
	}
	if len(secret) < minTokenLength || !tokenChars.MatchString(secret) {
		return "", fmt.Errorf("reading the secret for alerts: %s: must be %d or more printable ASCII characters without spaces", s.file, minTokenLength)
	}
	return secret, nil
}

// opens tells whether a request is one that the secret may open.
func (s *AlertSecret) opens(r *http.Request) bool {
	return s != nil && r.Method == http.MethodPost && r.URL.Path == api.PathAlerts
}

// find returns the caller when what was presented is the secret as it is now. An error means
// that nobody can say.
func (s *AlertSecret) find(presented string) (Caller, bool, error) {
	secret, err := s.read()
	if before := s.unread.Swap(err != nil); err != nil && !before {
		s.log.Error("secret for alerts cannot be read", zap.Error(err))
	}
	if err != nil {
		return Caller{}, false, err
	}
	// Of the sums: the length of what is compared tells nothing.
	own, theirs := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(presented))
	return s.caller, subtle.ConstantTimeCompare(own[:], theirs[:]) == 1, nil
}
