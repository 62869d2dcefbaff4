package store

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"go.uber.org/zap"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// openS3 opens an S3 bucket, with credentials of the file when one is named: gocloud's
// URL has no way to say them, and the environment is one for the whole process.
func openS3(ctx context.Context, u *url.URL, credentialsFile string, log *zap.Logger) (*blob.Bucket, error) {
	opener := &s3blob.URLOpener{}
	profile := u.Query().Get("profile")
	if credentialsFile != "" {
		// With a profile the SDK would look for it in its own files.
		u = withoutParameter(u, "profile")
	}
	bucket, err := opener.OpenBucketURL(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("opening S3 bucket %q: %w", u.Host, err)
	}
	var client *s3.Client
	if !bucket.As(&client) {
		return nil, fmt.Errorf("opening S3 bucket %q: the driver has no S3 client", u.Host)
	}
	opts := client.Options()
	opts.Logger = sdkLogger(log)
	if credentialsFile != "" {
		opts.Credentials = aws.NewCredentialsCache(fileCredentials(credentialsFile, profile))
	}
	return s3blob.OpenBucket(ctx, s3.New(opts), u.Host, &opener.Options)
}

// sdkLogger takes what the SDK would print on standard error: remarks about servers other
// than Amazon's, repeated with each request.
func sdkLogger(log *zap.Logger) logging.Logger {
	return logging.LoggerFunc(func(c logging.Classification, format string, v ...any) {
		log.Debug("S3 client remarked", zap.String("level", string(c)), zap.String("remark", fmt.Sprintf(format, v...)))
	})
}

// credentialsAge is how long credentials are used before their file is read again.
const credentialsAge = 5 * time.Minute

func fileCredentials(path, profile string) aws.CredentialsProviderFunc {
	if profile == "" {
		profile = awsconfig.DefaultSharedConfigProfile
	}
	return func(ctx context.Context) (aws.Credentials, error) {
		shared, err := awsconfig.LoadSharedConfigProfile(ctx, profile, func(o *awsconfig.LoadSharedConfigOptions) {
			o.CredentialsFiles = []string{path}
			o.ConfigFiles = []string{}
		})
		if err != nil {
			return aws.Credentials{}, fmt.Errorf("reading credentials file %q: %w", path, err)
		}
		c := shared.Credentials
		if !c.HasKeys() {
			return aws.Credentials{}, fmt.Errorf("reading credentials file %q: profile %q holds no access key and secret", path, profile)
		}
		c.CanExpire, c.Expires = true, time.Now().Add(credentialsAge)
		return c, nil
	}
}

func withoutParameter(u *url.URL, name string) *url.URL {
	q := u.Query()
	q.Del(name)
	other := *u
	other.RawQuery = q.Encode()
	return &other
}
