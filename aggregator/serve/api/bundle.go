package api

import (
	"archive/zip"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// bundled is one file of a bundle.
type bundled struct {
	name, key string
	packed    bool // it is compressed as it is
}

// bundle answers with everything that is stored of a report as one zip file: report.json,
// profiles, call graphs, the picture of the evidence, and what is not there any more. Its
// files are read one after the other, so that no bundle is held as a whole.
func (h handlers) bundle(w http.ResponseWriter, r *http.Request) {
	report, err := h.find(r.Context(), r.PathValue("id"))
	if err != nil {
		if p, ok := errors.AsType[problem](err); ok {
			WriteProblem(w, p.Problem)
			return
		}
		h.refuse(w, r, "bundling the report", err)
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "gopprof-"+report.ID+".zip"))
	if err := h.writeBundle(r.Context(), w, report); err != nil && r.Context().Err() == nil {
		h.Log.Warn("bundle ended early", zap.String("report", report.ID), zap.Error(err))
		panic(http.ErrAbortHandler) // a bundle that lacks its end must not look whole
	}
}

func (h handlers) writeBundle(ctx context.Context, w io.Writer, r gopprof.Report) error {
	z := zip.NewWriter(w)
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := put(z, "report.json", r.MadeAt, data, zip.Deflate); err != nil {
		return err
	}
	var missing []byte
	for _, f := range filesOf(r) {
		unread, err := h.putStored(ctx, z, f, r.MadeAt)
		switch {
		case err != nil:
			return err
		case unread != nil:
			h.Log.Warn("file of a bundle not read", zap.String("report", r.ID), zap.String("file", f.name), zap.Error(unread))
			missing = fmt.Appendf(missing, "%s: %s\n", f.name, cmp.Or(gopprof.ReasonOf(unread), gopprof.ReasonInternal))
		}
	}
	if missing != nil {
		if err := put(z, "MISSING.txt", r.MadeAt, append([]byte("These could not be read from the store:\n"), missing...), zip.Deflate); err != nil {
			return err
		}
	}
	return z.Close()
}

// putStored reads a file and lets go of it once it is written. unread is why it cannot be read.
func (h handlers) putStored(ctx context.Context, z *zip.Writer, f bundled, at time.Time) (unread, err error) {
	holding, done := context.WithCancel(ctx)
	defer done()
	data, unread := h.Reports.Read(holding, f.key)
	if unread != nil || ctx.Err() != nil {
		return unread, ctx.Err()
	}
	method := zip.Deflate
	if f.packed {
		method = zip.Store
	}
	return nil, put(z, f.name, at, data, method)
}

// filesOf lists what is stored of a report beside itself. The names are the kinds', which are
// of a closed set.
func filesOf(r gopprof.Report) (all []bundled) {
	for _, f := range r.Files {
		if _, err := gopprof.ParseKind(string(f.Kind)); err != nil {
			continue
		}
		if f.Profile != "" {
			all = append(all, bundled{string(f.Kind) + f.Kind.Extension(), f.Profile, true})
		}
		if f.Drawing != "" {
			all = append(all, bundled{string(f.Kind) + ".svg", f.Drawing, false})
		}
	}
	if r.Picture != "" {
		all = append(all, bundled{"evidence.svg", r.Picture, false})
	}
	return all
}

func put(z *zip.Writer, name string, at time.Time, data []byte, method uint16) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method, Modified: at})
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// bundlePath is the pattern of all bundles.
var bundlePath = api.PathBundle("{id}")
