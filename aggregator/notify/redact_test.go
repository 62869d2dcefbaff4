package notify

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Every part of an address that may be secret is hidden where it stands alone, and no end of
// a longer one is left behind.
func TestRedact(t *testing.T) {
	address, err := url.Parse("https://user:passwSECRET@hooks.example/services/T0SECRET/T0SECRETlonger/esc%2FSECRET?key=qSECRET&sig=a%2BSECRET&bareSECRET")
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{
		"T0SECRETlonger", "no team T0SECRET", "esc/SECRET", "esc%2FSECRET", "key qSECRET", "a+SECRET", "a%2BSECRET", "bareSECRET", "passwSECRET",
		"/services/T0SECRET/T0SECRETlonger", "?key=qSECRET&sig=a%2BSECRET", address.String(), "token tokSECRET",
	} {
		if got := redact(said, address, "tokSECRET"); strings.Contains(got, "SECRET") || strings.Contains(got, "longer") {
			t.Errorf("%s: %s", said, got)
		}
	}
	if got := redact("404 no such hook", address); got != "404 no such hook" {
		t.Error(got)
	}
}

type plainPoster struct{}

func (plainPoster) Write(Letter) (Post, error)          { return Post{}, nil }
func (plainPoster) Read(_ Answer, said Outcome) Outcome { return said }
func (plainPoster) Pace() Pace                          { return Pace{} }

// A secret is taken out of an answer before that is cut: none is left by half.
func TestAnswerIsRedactedBeforeItIsCut(t *testing.T) {
	for before := 150; before < 210; before++ {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(strings.Repeat(".", before) + r.URL.Path))
		}))
		cfg := DefaultConfig()
		cfg.Receivers = []Receiver{{Name: "ops", Channel: ChannelSlack, URL: s.URL + "/xyzzyxyzzyxyzzy"}}
		n := New(cfg, Deps{Channels: Channels{Posters: map[string]Poster{ChannelSlack: plainPoster{}}}}, zap.NewNop(), prometheus.NewRegistry())
		out, err := n.Deliver(t.Context(), "ops", Message{ID: "x"})
		s.Close()
		if err != nil || strings.Contains(out.Detail, "xy") || !strings.Contains(out.Detail, "404") {
			t.Fatalf("%d: %v, %+v", before, err, out)
		}
	}
}

// A secret that the bound of what is read cuts in two is not seen either.
func TestAnswerThatIsReadByHalf(t *testing.T) {
	const path = "/xyzzyxyzzyxyzzy"
	for before := maxAnswerBytes - 20; before < maxAnswerBytes; before++ {
		address, err := url.Parse("https://hooks.example" + path)
		if err != nil {
			t.Fatal(err)
		}
		answer := (strings.Repeat(path, 1000))[:before]
		if got := redactCut(answer, address); strings.Contains(got, "xy") || got == "" {
			t.Errorf("%d: %s", before, got)
		}
	}
}
