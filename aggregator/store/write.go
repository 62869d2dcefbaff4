package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// orphanAge is how old the newest file of a folder without report.json must be before the
// folder is taken for a leftover.
const orphanAge = 24 * time.Hour

const (
	typeProfile = "application/octet-stream"
	typeDrawing = "image/svg+xml"
	typeReport  = "application/json"
)

// PutProfile stores a profile as it came and returns its key. Storing it again is a
// no-op; other bytes are ErrDifferent.
func (s *Store) PutProfile(ctx context.Context, c gopprof.Capture, p gopprof.Profile) (string, error) {
	at, err := placeOfKind(c, p.Kind)
	if err != nil {
		return "", fmt.Errorf("storing profile %q: %w", p.Kind, err)
	}
	key := at.folder() + profileFile(p.Kind)
	defer s.timed("put_profile", &err)()
	if err = s.put(ctx, key, p.Bytes, typeProfile); err != nil {
		return "", fmt.Errorf("storing profile %q: %w", p.Kind, err)
	}
	s.wrote("profile", p.Bytes)
	return key, nil
}

// PutDrawing stores the drawing of a profile and returns its key. A drawing is made again
// when a capture is delivered again, and another dot may draw it otherwise: until the
// report is committed the last one counts (the first, where overwriting is refused), from
// then on other bytes are ErrDifferent.
func (s *Store) PutDrawing(ctx context.Context, c gopprof.Capture, k gopprof.Kind, svg []byte) (string, error) {
	at, err := placeOfKind(c, k)
	if err != nil {
		return "", fmt.Errorf("storing drawing of %q: %w", k, err)
	}
	key := at.folder() + drawingFile(k)
	defer s.timed("put_drawing", &err)()
	if err = s.putMade(ctx, at, key, svg); err != nil {
		return "", fmt.Errorf("storing drawing of %q: %w", k, err)
	}
	s.wrote("drawing", svg)
	return key, nil
}

// PutPicture stores the picture of a capture's evidence and returns its key. It is made
// again as drawings are, by another version perhaps, and stored by the same rules.
func (s *Store) PutPicture(ctx context.Context, c gopprof.Capture, svg []byte) (string, error) {
	at, err := placeOf(c)
	if err != nil {
		return "", fmt.Errorf("storing the picture of the evidence: %w", err)
	}
	key := at.folder() + pictureFile
	defer s.timed("put_picture", &err)()
	if err = s.putMade(ctx, at, key, svg); err != nil {
		return "", fmt.Errorf("storing the picture of the evidence: %w", err)
	}
	s.wrote("picture", svg)
	return key, nil
}

// putMade stores what was made of a capture and may be made otherwise again.
func (s *Store) putMade(ctx context.Context, p place, key string, svg []byte) error {
	err := s.put(ctx, key, svg, typeDrawing)
	if !errors.Is(err, ErrDifferent) {
		return err
	}
	committed, existsErr := s.blobs.exists(ctx, p.folder()+reportFile)
	if existsErr != nil {
		return existsErr
	}
	if committed {
		return err
	}
	return s.overwrite(ctx, key, svg, typeDrawing)
}

// overwrite writes a blob that is there. A store that refuses that for good (a retention
// policy, an immutable file) keeps what it has, which is of the same capture and as good:
// an error would have the capture tried again for ever.
func (s *Store) overwrite(ctx context.Context, key string, data []byte, contentType string) error {
	err := s.blobs.replace(ctx, key, data, contentType)
	if !errors.Is(err, errRefused) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	s.log.Info("blob kept as it was, the store refuses overwrites", zap.String("key", key), zap.Error(err))
	return nil
}

// Commit writes report.json, which makes the folder a report. The profiles and pictures
// must have been stored before. Committing the same report again is a no-op; if another
// one was committed, that one stays and the answer is ErrExists.
func (s *Store) Commit(ctx context.Context, r gopprof.Report) error {
	var err error
	defer s.timed("commit", &err)()
	if err = s.commit(ctx, r); err != nil {
		return fmt.Errorf("committing report %q: %w", r.ID, err)
	}
	t := r.Capture.Target
	s.log.Info("report committed", zap.String("capture", r.ID), zap.String("node", t.Node),
		zap.String("namespace", t.Namespace), zap.String("pod", t.Pod), zap.String("container", t.Container))
	return nil
}

func (s *Store) commit(ctx context.Context, r gopprof.Report) error {
	at, data, err := encodeReport(r)
	if err != nil {
		return err
	}
	if err := s.checkOwner(r); err != nil {
		return err
	}
	err = s.put(ctx, at.folder()+reportFile, data, typeReport)
	if errors.Is(err, ErrDifferent) {
		return ErrExists
	}
	if err != nil {
		return err
	}
	// What is indexed is what was written, as it will be read after a restart: not the
	// caller's own, which holds the profiles' bytes.
	written, err := decodeReport(data, at)
	if err != nil {
		return err
	}
	indexed, err := newEntry(written)
	if err != nil {
		return err
	}
	s.index.add(indexed)
	s.metrics.indexed.Set(float64(s.index.len()))
	s.wrote("report", data)
	return nil
}

// checkOwner refuses the identifier of another target's report.
func (s *Store) checkOwner(r gopprof.Report) error {
	e, ok := s.index.get(r.ID)
	if !ok {
		return nil
	}
	other, err := e.report()
	if err != nil {
		return err
	}
	if owner := other.Capture.Target.Key(); owner != r.Capture.Target.Key() {
		return fmt.Errorf("%w: the identifier is that of a report of %q", ErrDifferent, owner)
	}
	return nil
}

func encodeReport(r gopprof.Report) (place, []byte, error) {
	p, err := placeOf(r.Capture)
	if err != nil {
		return place{}, nil, err
	}
	if r.ID != r.Capture.ID {
		return place{}, nil, fmt.Errorf("%w: its capture has identifier %q", ErrInvalid, r.Capture.ID)
	}
	if err := checkFiles(r, p.folder()); err != nil {
		return place{}, nil, err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return place{}, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(data) > maxReportBytes {
		return place{}, nil, fmt.Errorf("%w: report.json of %d bytes", ErrInvalid, len(data))
	}
	return p, data, nil
}

// checkFiles refuses links to files of other reports.
func checkFiles(r gopprof.Report, folder string) error {
	if r.Picture != "" && r.Picture != folder+pictureFile {
		return fmt.Errorf("%w: file %q is not the report's", ErrInvalid, r.Picture)
	}
	for _, f := range r.Files {
		if err := checkKind(f.Kind); err != nil {
			return err
		}
		if f.Profile != folder+profileFile(f.Kind) {
			return fmt.Errorf("%w: file %q is not the report's", ErrInvalid, f.Profile)
		}
		if f.Drawing != "" && f.Drawing != folder+drawingFile(f.Kind) {
			return fmt.Errorf("%w: file %q is not the report's", ErrInvalid, f.Drawing)
		}
	}
	return nil
}

// put writes a blob if it is absent. One that is there with the same bytes is done,
// unless it is so old that a sweep could soon take it for a leftover: then it is written
// again, to be new.
func (s *Store) put(ctx context.Context, key string, data []byte, contentType string) error {
	err := s.blobs.create(ctx, key, data, contentType)
	if !errors.Is(err, errBlobExists) {
		return err
	}
	there, err := s.blobs.read(ctx, key, int64(len(data)))
	if errors.Is(err, ErrTooLarge) || err == nil && !bytes.Equal(there.data, data) {
		return fmt.Errorf("blob %q: %w", key, ErrDifferent)
	}
	if err != nil {
		return err
	}
	if s.now().Sub(there.written) > orphanAge/2 && !strings.HasSuffix(key, "/"+reportFile) {
		return s.overwrite(ctx, key, data, contentType)
	}
	return nil
}

func placeOfKind(c gopprof.Capture, k gopprof.Kind) (place, error) {
	if err := checkKind(k); err != nil {
		return place{}, err
	}
	return placeOf(c)
}

func checkKind(k gopprof.Kind) error {
	if !slices.Contains(gopprof.Kinds(), k) {
		return fmt.Errorf("%w: kind %q is not known", ErrInvalid, k)
	}
	return nil
}

func (s *Store) wrote(blob string, data []byte) {
	s.metrics.writes.WithLabelValues(blob).Inc()
	s.metrics.writeBytes.WithLabelValues(blob).Add(float64(len(data)))
}

// timed is deferred with the operation's error to measure it.
func (s *Store) timed(operation string, err *error) func() {
	start := time.Now()
	return func() {
		s.metrics.duration.WithLabelValues(operation).Observe(time.Since(start).Seconds())
		if *err != nil {
			s.metrics.failures.WithLabelValues(operation).Inc()
		}
	}
}
