package store

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"go.uber.org/zap"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/gcsblob" // gs://
	"gocloud.dev/blob/memblob"
)

const (
	// listPage is the most that one request to S3 lists; the others take it too.
	listPage = 1000
	// filePage is as much as a busy day holds: the file driver walks the directory again
	// for each page, and memory for the whole page is reserved at once.
	filePage = 20_000
)

func openBlobs(ctx context.Context, cfg Config, log *zap.Logger) (*blobs, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("parsing the URL: %w", err)
	}
	if u.Scheme == "file" {
		return openFile(u, strings.Trim(cfg.Prefix, "/"))
	}
	bucket, err := openCloud(ctx, u, cfg.CredentialsFile, log)
	if err != nil {
		return nil, err
	}
	return cloudBlobs(bucket, cfg.Prefix), nil
}

func cloudBlobs(bucket *blob.Bucket, prefix string) *blobs {
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		bucket = blob.PrefixedBucket(bucket, prefix+"/")
	}
	return &blobs{bucket: bucket, writer: &cloudWriter{bucket}, pageSize: listPage}
}

func openCloud(ctx context.Context, u *url.URL, credentialsFile string, log *zap.Logger) (*blob.Bucket, error) {
	switch u.Scheme {
	case "mem":
		return memblob.OpenBucket(nil), nil
	case "s3":
		return openS3(ctx, u, credentialsFile, log)
	}
	bucket, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("opening bucket %q: %w", u.Host, err)
	}
	return bucket, nil
}

// openFile reads through gocloud's file driver and writes by itself, as the driver's own
// writes survive no crash (nothing is synced, its attribute files are not written whole)
// and its IfNotExist lets two writers at once both succeed.
func openFile(u *url.URL, prefix string) (*blobs, error) {
	dir := filepath.FromSlash(u.Path)
	if u.Host == "." {
		dir = strings.TrimPrefix(dir, "/")
	}
	dir, err := filepath.Abs(filepath.Join(dir, prefix))
	if err != nil {
		return nil, fmt.Errorf("finding directory %q: %w", u.Path, err)
	}
	w, err := newFileWriter(dir)
	if err != nil {
		return nil, err
	}
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{Metadata: fileblob.MetadataDontWrite, NoTempDir: true})
	if err != nil {
		return nil, fmt.Errorf("opening directory %q: %w", dir, err)
	}
	return &blobs{bucket: bucket, writer: w, pageSize: filePage}, nil
}
