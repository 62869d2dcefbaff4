package store_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/zap"
	"gocloud.dev/blob"

	"github.com/gopprof/gopprof/aggregator/store"
)

// vault is a store of Google's or Microsoft's kind that keeps what it has: a blob is there or
// not, and writing over one that is there is refused as each refuses it.
type vault struct {
	there   bool
	refuse  func(w http.ResponseWriter)
	look    func(w http.ResponseWriter)
	missing func(w http.ResponseWriter)
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost || r.Method == http.MethodPut:
		v.refuse(w)
	case v.there:
		v.look(w)
	default:
		v.missing(w)
	}
}

func google() *vault {
	answer := func(status int, body string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	return &vault{
		refuse:  answer(http.StatusForbidden, `{"error":{"code":403,"message":"retentionPolicyNotMet"}}`),
		look:    answer(http.StatusOK, `{"kind":"storage#object","name":"a","bucket":"b","size":"1","updated":"2026-11-14T12:00:00Z"}`),
		missing: answer(http.StatusNotFound, `{"error":{"code":404,"message":"No such object"}}`),
	}
}

func microsoft() *vault {
	answer := func(status int, code string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if code != "" {
				w.Header().Set("x-ms-error-code", code)
			}
			for _, time := range []string{"Last-Modified", "x-ms-creation-time"} {
				w.Header().Set(time, "Sat, 14 Nov 2026 12:00:00 GMT")
			}
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Content-Type", "image/svg+xml")
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(status)
		}
	}
	return &vault{
		refuse:  answer(http.StatusConflict, "BlobImmutableDueToPolicy"),
		look:    answer(http.StatusOK, ""),
		missing: answer(http.StatusNotFound, "BlobNotFound"),
	}
}

// A blob that its store keeps from being overwritten stays as it is, whatever the store calls
// that: the capture would be tried again for ever. Where there is none, the error stands.
func TestCloudsThatRefuseOverwrites(t *testing.T) {
	for name, c := range map[string]struct {
		url   string
		vault *vault
	}{
		"Google":    {"gs://b?anonymous=true", google()},
		"Microsoft": {"azblob://b", microsoft()},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.vault)
			t.Cleanup(server.Close)
			t.Setenv("STORAGE_EMULATOR_HOST", server.Listener.Addr().String())
			for key, value := range map[string]string{"ACCOUNT": "a", "DOMAIN": server.Listener.Addr().String(), "PROTOCOL": "http", "SAS_TOKEN": "sig=x"} {
				t.Setenv("AZURE_STORAGE_"+key, value)
			}
			bucket, err := blob.OpenBucket(t.Context(), c.url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { bucket.Close() })
			s := store.OpenOver(bucket, config("s3://b"), zap.NewNop())
			if err := s.Create(t.Context(), "a", []byte("new")); err == nil || errors.Is(err, store.ErrBlobExists) {
				t.Errorf("created where nothing may be: %v", err)
			}
			if err := s.Overwrite(t.Context(), "a", []byte("new")); err == nil {
				t.Error("written where nothing may be")
			}
			c.vault.there = true
			if err := s.Create(t.Context(), "a", []byte("new")); !errors.Is(err, store.ErrBlobExists) {
				t.Errorf("created over another: %v", err)
			}
			if err := s.Overwrite(t.Context(), "a", []byte("new")); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}
