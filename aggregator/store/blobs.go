package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// blobs is a bucket as this package uses it: whole blobs, written once.
type blobs struct {
	writer
	bucket   *blob.Bucket
	pageSize int    // of one listing request
	trial    string // key of the blob of try, once it was made up; of Run only
}

// writer changes a bucket. What it has written is durable when it returns, and other
// readers have seen all of it or nothing.
type writer interface {
	// create writes a blob that must not be there yet, else errBlobExists; of several at
	// once one succeeds.
	create(ctx context.Context, key string, data []byte, contentType string) error
	// replace writes a blob whether or not it is there.
	replace(ctx context.Context, key string, data []byte, contentType string) error
	// remove deletes a blob; one that is not there is no error.
	remove(ctx context.Context, key string) error
}

var errBlobExists = errors.New("blob exists")

// content is a blob that was read.
type content struct {
	data    []byte
	written time.Time
}

// read returns a whole blob; ErrNotFound, ErrTooLarge.
func (b *blobs) read(ctx context.Context, key string, mostBytes int64) (content, error) {
	r, err := b.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return content{}, readError(key, err)
	}
	defer r.Close()
	// With room for all of it, or it would be taken several times over.
	data := bytes.NewBuffer(make([]byte, 0, max(0, min(r.Size(), mostBytes))+bytes.MinRead))
	if _, err := data.ReadFrom(io.LimitReader(r, mostBytes+1)); err != nil {
		return content{}, readError(key, err)
	}
	if int64(data.Len()) > mostBytes {
		return content{}, fmt.Errorf("reading blob %q: %w: over %d bytes", key, ErrTooLarge, mostBytes)
	}
	return content{data: data.Bytes(), written: r.ModTime()}, nil
}

func readError(key string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("reading blob %q: %w", key, ErrNotFound)
	}
	return fmt.Errorf("reading blob %q: %w", key, err)
}

// exists tells whether a blob is there.
func (b *blobs) exists(ctx context.Context, key string) (bool, error) {
	ok, err := b.bucket.Exists(ctx, key)
	if err != nil {
		return false, fmt.Errorf("looking for blob %q: %w", key, err)
	}
	return ok, nil
}

// list calls each for every blob below prefix, in no particular order.
func (b *blobs) list(ctx context.Context, prefix string, each func(*blob.ListObject)) error {
	return b.pages(ctx, &blob.ListOptions{Prefix: prefix}, func(o *blob.ListObject) {
		if !o.IsDir {
			each(o)
		}
	})
}

// folders returns the names of the folders right below prefix, which ends in "/" or is
// empty.
func (b *blobs) folders(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := b.pages(ctx, &blob.ListOptions{Prefix: prefix, Delimiter: "/"}, func(o *blob.ListObject) {
		if o.IsDir {
			names = append(names, strings.TrimSuffix(strings.TrimPrefix(o.Key, prefix), "/"))
		}
	})
	return names, err
}

func (b *blobs) pages(ctx context.Context, opts *blob.ListOptions, each func(*blob.ListObject)) error {
	for token := blob.FirstPageToken; token != nil; {
		page, next, err := b.page(ctx, token, opts)
		if err != nil {
			return fmt.Errorf("listing %q: %w", opts.Prefix, err)
		}
		for _, o := range page {
			each(o)
		}
		token = next
		if len(next) == 0 {
			return nil
		}
	}
	return nil
}

// page reads one page. The file driver gives up when a file vanishes while it walks (a
// sweep, a temporary file): that is tried again.
func (b *blobs) page(ctx context.Context, token []byte, opts *blob.ListOptions) (page []*blob.ListObject, next []byte, err error) {
	_, isFile := b.writer.(*fileWriter)
	for range 10 {
		page, next, err = b.bucket.ListPage(ctx, token, b.pageSize, opts)
		if err == nil || !isFile || gcerrors.Code(err) != gcerrors.NotFound {
			break
		}
	}
	return page, next, err
}

// errRefused says that a blob is there and may not be overwritten, ever.
var errRefused = errors.New("the store refuses overwrites")

// errNotConditional says that a backend overwrites where it was told not to.
var errNotConditional = errors.New("the store ignores conditional writes (If-None-Match): reports could be overwritten")

// try writes, reads and deletes a blob of its own, to learn at start whether that works
// and whether a blob that exists is safe from another create. A blob that cannot be deleted
// is no error, as reports can be stored: left tells why it stays, and trying again, in this
// process, leaves no other one.
func (b *blobs) try(ctx context.Context) (left, err error) {
	if b.trial == "" {
		b.trial = "gopprof-trial-" + rand.Text()
	}
	if err := b.create(ctx, b.trial, []byte("one"), typeProfile); err != nil && !errors.Is(err, errBlobExists) {
		return nil, fmt.Errorf("trying to write: %w", err)
	}
	again := b.create(ctx, b.trial, []byte("two"), typeProfile)
	_, read := b.read(ctx, b.trial, 16)
	left = b.remove(ctx, b.trial)
	if read != nil {
		return left, fmt.Errorf("trying to read: %w", read)
	}
	if again == nil {
		return left, errNotConditional
	}
	if !errors.Is(again, errBlobExists) {
		return left, fmt.Errorf("trying to write twice: %w", again)
	}
	return left, nil
}

// cloudWriter writes through the driver: cloud stores write whole blobs and know
// conditional writes.
type cloudWriter struct{ bucket *blob.Bucket }

func (w *cloudWriter) create(ctx context.Context, key string, data []byte, contentType string) error {
	err := w.write(ctx, key, data, &blob.WriterOptions{ContentType: contentType, IfNotExist: true})
	// Where nothing may be overwritten that may be the answer, not the condition's.
	if gcerrors.Code(err) == gcerrors.FailedPrecondition || w.refused(ctx, key, err) {
		return errBlobExists
	}
	return err
}

func (w *cloudWriter) replace(ctx context.Context, key string, data []byte, contentType string) error {
	err := w.write(ctx, key, data, &blob.WriterOptions{ContentType: contentType})
	if gcerrors.Code(err) == gcerrors.FailedPrecondition || w.refused(ctx, key, err) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// write does not use WriteAll: with the driver for Azure that panics when the write fails.
func (w *cloudWriter) write(ctx context.Context, key string, data []byte, o *blob.WriterOptions) error {
	return w.bucket.Upload(ctx, key, bytes.NewReader(data), o)
}

// refused tells whether a write failed because the blob is there and may not be changed.
func (w *cloudWriter) refused(ctx context.Context, key string, err error) bool {
	var azure *azcore.ResponseError
	switch gcerrors.Code(err) {
	case gcerrors.PermissionDenied, gcerrors.NotFound: // the latter is Google's 403
	case gcerrors.Unknown:
		if !errors.As(err, &azure) || azure.StatusCode != http.StatusConflict { // an immutable blob
			return false
		}
	default:
		return false
	}
	there, lookErr := w.bucket.Exists(ctx, key)
	return lookErr == nil && there
}

func (w *cloudWriter) remove(ctx context.Context, key string) error {
	err := w.bucket.Delete(ctx, key)
	if gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}
	// Google's 403 is "not found" for the driver, too: a blob that is there was kept from us.
	if there, lookErr := w.bucket.Exists(ctx, key); lookErr != nil || there {
		return errors.Join(err, lookErr)
	}
	return nil
}
