package parts

import (
	"strings"
	"testing"
)

func TestInfluxDBComesBackWithItsData(t *testing.T) {
	Need(t, "influxd")
	dir := t.TempDir()
	for _, o := range []InfluxDBOptions{{}, {Username: "root", Password: "it's \"q", TLS: true}} {
		db, err := StartInfluxDBWith(t.Context(), dir, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Stop() })
		if _, err := db.Query(t.Context(), "", "CREATE DATABASE d"); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), "d", "", []byte("m value=1i 1000000000\n")); err != nil {
			t.Fatal(err)
		}
		if err := db.Stop(); err != nil {
			t.Fatal(err)
		}
		o.Listen = db.Listen
		again, err := StartInfluxDBWith(t.Context(), dir, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = again.Stop() })
		answer, err := again.Query(t.Context(), "d", "SELECT value FROM m")
		if err != nil || !strings.Contains(answer, "[1000,1]") {
			t.Errorf("query after the restart: %s, %v", answer, err)
		}
		if err := again.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInfluxDBSaysWhyItDoesNotStart(t *testing.T) {
	Need(t, "influxd")
	_, err := StartInfluxDBWith(t.Context(), t.TempDir(), InfluxDBOptions{Listen: "127.0.0.1:no"})
	if err == nil || !strings.Contains(err.Error(), "tcp/no") {
		t.Errorf("got %v", err)
	}
}
