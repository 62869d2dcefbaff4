// Package webhook writes a report for a program: the CloudEvent that NATS carries, as it
// is, or what the receiver's template writes. A letter enters, a POST leaves; it does no I/O.
//
// With a secret of its own (sign_file) the receiver can check who sent a message and that
// it is a new one. The header Gopprof-Timestamp holds the time of sending in seconds since
// 1970, and Gopprof-Signature holds "v1=" and the lower-case hex of
//
//	HMAC-SHA256(key: the secret, message: timestamp + "." + body)
//
// A receiver computes the same over the bytes as they came, compares in constant time
// (hmac.Equal), and refuses a timestamp that is more than a few minutes away. It knows
// repeats by the header Idempotency-Key. What is signed must never be written again
// afterwards: not one byte of the body may change.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// The headers by which a receiver checks a message.
const (
	HeaderTimestamp = "Gopprof-Timestamp"
	HeaderSignature = "Gopprof-Signature"
)

// Channel is the channel.
type Channel struct{}

// Message returns the body for a report and its media type.
func Message(r gopprof.Report) (body []byte, contentType string, err error) {
	body, err = wire.EncodeReport(r)
	if err != nil {
		return nil, "", fmt.Errorf("writing report %q for a webhook: %w", r.ID, err)
	}
	return body, wire.ContentType, nil
}

// Write implements notify.Poster.
func (Channel) Write(l notify.Letter) (notify.Post, error) {
	var p notify.Post
	var err error
	switch {
	case l.Message.Text != "":
		p.Body, p.ContentType = []byte(l.Message.Text), "text/plain; charset=utf-8"
		if json.Valid(p.Body) {
			p.ContentType = "application/json"
		}
	case l.Report != nil:
		p.Body, p.ContentType, err = Message(*l.Report)
	case len(l.Message.Parts) == 0:
		p.Body, p.ContentType, err = test(l)
	default:
		err = errors.New("a webhook without template takes single reports only")
	}
	if err != nil {
		return notify.Post{}, err
	}
	if !l.Sign.Empty() {
		at := strconv.FormatInt(l.Now.Unix(), 10)
		p.Header = http.Header{HeaderTimestamp: {at}, HeaderSignature: {"v1=" + Signature(l.Sign.Reveal(), at, p.Body)}}
	}
	return p, nil
}

// test is a CloudEvent of a type of its own: programs that take reports pass over it.
func test(l notify.Letter) ([]byte, string, error) {
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "type": "io.gopprof.test.v1", "source": "gopprof", "id": l.Message.ID,
		"time": l.Now.UTC().Format("2006-01-02T15:04:05Z"), "datacontenttype": "application/json", "data": map[string]string{"who": l.Message.Who},
	})
	return body, wire.ContentType, err
}

// Signature returns the signature of a body that is sent at a time.
func Signature(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Read implements notify.Poster.
func (Channel) Read(_ notify.Answer, said notify.Outcome) notify.Outcome { return said }

// Pace implements notify.Poster.
func (Channel) Pace() notify.Pace { return notify.Pace{} }
