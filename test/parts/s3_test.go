package parts

import (
	"net/http"
	"testing"
)

// A request without credentials is refused, which proves that what answers is an S3 server
// that wants them.
func TestS3AnswersAndWantsCredentials(t *testing.T) {
	Need(t, "versitygw")
	s, err := StartS3(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	if _, err := s.Bucket("reports"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(s.Endpoint + "/reports?list-type=2")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("listing without credentials: %s, want 403", resp.Status)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if _, err := http.Get(s.Endpoint + s3Health); err == nil {
		t.Error("the server answers after Stop")
	}
}

// Two servers at once share nothing.
func TestS3TwoAtOnce(t *testing.T) {
	Need(t, "versitygw")
	one, err := StartS3(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer one.Stop()
	two, err := StartS3(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer two.Stop()
	if one.Endpoint == two.Endpoint {
		t.Errorf("both listen on %s", one.Endpoint)
	}
}
