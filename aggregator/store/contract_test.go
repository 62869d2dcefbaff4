package store_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/aggregator/store/storetest"
	"github.com/gopprof/gopprof/test/parts"
)

func TestContractMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Bucket { return memory{memblob.OpenBucket(nil)} })
}

func TestContractFile(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Bucket { return directory(t.TempDir()) })
}

func TestContractS3(t *testing.T) {
	t.Parallel()
	parts.Need(t, "versitygw")
	server, err := parts.StartS3(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	buckets := 0
	storetest.Run(t, func(t *testing.T) storetest.Bucket {
		buckets++
		url, err := server.Bucket(fmt.Sprintf("bucket-%d", buckets))
		if err != nil {
			t.Fatal(err)
		}
		return s3{url: url, credentials: server.CredentialsFile}
	})
}

// The stores that no test here can run are linked all the same.
func TestSchemesAreLinked(t *testing.T) {
	for _, scheme := range []string{"s3", "gs", "azblob"} {
		if !blob.DefaultURLMux().ValidBucketScheme(scheme) {
			t.Errorf("no driver for %s://", scheme)
		}
	}
}

func config(url string) store.Config {
	cfg := store.DefaultConfig()
	cfg.URL, cfg.MaxAge = url, 0
	return cfg
}

func openURL(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
	cfg.Check(func(key, problem string) {
		if key != "refresh_interval" && key != "sweep_interval" { // tests are in a hurry
			t.Errorf("%s: %s", key, problem)
		}
	})
	s, err := store.Open(t.Context(), cfg, zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

type memory struct{ bucket *blob.Bucket }

func (m memory) Open(t *testing.T, configure func(*store.Config)) *store.Store {
	cfg := config("mem://")
	configure(&cfg)
	return store.OpenOver(m.bucket, cfg, zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)))
}

func (m memory) Plant(t *testing.T, key string, data []byte) { plant(t, m.bucket, key, data) }

func (m memory) Keys(t *testing.T) []string { return keys(t, m.bucket) }

type s3 struct{ url, credentials string }

func (b s3) Open(t *testing.T, configure func(*store.Config)) *store.Store {
	cfg := config(b.url)
	cfg.CredentialsFile = b.credentials
	configure(&cfg)
	return openURL(t, cfg)
}

func (b s3) bucket(t *testing.T) *blob.Bucket {
	bucket, err := store.OpenBucket(t.Context(), b.url, b.credentials)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bucket.Close() })
	return bucket
}

func (b s3) Plant(t *testing.T, key string, data []byte) { plant(t, b.bucket(t), key, data) }

func (b s3) Keys(t *testing.T) []string { return keys(t, b.bucket(t)) }

func plant(t *testing.T, b *blob.Bucket, key string, data []byte) {
	t.Helper()
	if err := b.WriteAll(t.Context(), key, data, nil); err != nil {
		t.Fatal(err)
	}
}

func keys(t *testing.T, b *blob.Bucket) (list []string) {
	t.Helper()
	for o := b.List(nil); ; {
		e, err := o.Next(context.Background())
		if err != nil {
			slices.Sort(list)
			return list
		}
		list = append(list, e.Key)
	}
}

type directory string

func (d directory) Open(t *testing.T, configure func(*store.Config)) *store.Store {
	cfg := config("file://" + string(d))
	configure(&cfg)
	return openURL(t, cfg)
}

func (d directory) Plant(t *testing.T, key string, data []byte) {
	t.Helper()
	path := filepath.Join(string(d), key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d directory) Keys(t *testing.T) (list []string) {
	t.Helper()
	err := filepath.WalkDir(string(d), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			list = append(list, strings.TrimPrefix(path, string(d)+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}
