package store

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/gcsblob" // gs://
	"gocloud.dev/blob/memblob"
)

// listPage is the most that one request to S3 lists; the others take it too.
const listPage = 1000

func openBlobs(ctx context.Context, cfg Config) (*blobs, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("parsing the URL: %w", err)
	}
	prefix := strings.Trim(cfg.Prefix, "/")
	if u.Scheme == "file" {
		return openFile(u, prefix)
	}
	bucket, err := openCloud(ctx, u, cfg.CredentialsFile)
	if err != nil {
		return nil, err
	}
	if prefix != "" {
		bucket = blob.PrefixedBucket(bucket, prefix+"/")
	}
	return &blobs{bucket: bucket, writer: &cloudWriter{bucket}, pageSize: listPage}, nil
}

func openCloud(ctx context.Context, u *url.URL, credentialsFile string) (*blob.Bucket, error) {
	switch u.Scheme {
	case "mem":
		return memblob.OpenBucket(nil), nil
	case "s3":
		return openS3(ctx, u, credentialsFile)
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
	// The driver walks the directory again for each page, so one page takes it all.
	return &blobs{bucket: bucket, writer: w, pageSize: 1 << 30}, nil
}
