package soak

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// list returns all reports as the API lists them.
func (s *scene) list(ctx context.Context) (all []api.ReportSummary, err error) {
	for after := ""; ; {
		var page api.ReportList
		path := fmt.Sprintf("%s?limit=%d&after=%s", api.PathReports, api.MaxLimit, url.QueryEscape(after))
		if err := s.GetJSON(ctx, path, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Reports...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

// contradicted returns the reports that by default are told to nobody.
func contradicted(reports []api.ReportSummary) map[string]bool {
	silent := map[string]bool{}
	for _, r := range reports {
		if r.Agreement == gopprof.AgreementContradicted {
			silent[r.ID] = true
		}
	}
	return silent
}

// spooled returns what lies in the agent's spool beside its lock.
func (s *scene) spooled() (left []string) {
	_ = filepath.WalkDir(filepath.Join(s.Dir, "agent", "spool"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			left = append(left, d.Name())
		}
		return nil
	})
	return left
}

// stored returns the reports in the store, whose files must be there, whole, and beside
// which there must be nothing.
func (s *scene) stored() (ids []string) {
	s.t.Helper()
	root := filepath.Join(s.Dir, "store", "reports")
	files, known := map[string]bool{}, map[string]bool{}
	must(s.t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && d.Name() == ".tmp" {
				return fs.SkipDir // what a killed process leaves there is swept later
			}
			return err
		}
		files[path] = true
		if d.Name() != "report.json" {
			return nil
		}
		var r gopprof.Report
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		ids, known[path] = append(ids, r.ID), true
		if r.Picture != "" {
			known[filepath.Join(root, r.Picture)] = true
		}
		for _, file := range r.Files {
			known[filepath.Join(root, file.Profile)] = true
			if file.Drawing != "" {
				known[filepath.Join(root, file.Drawing)] = true
			}
			s.whole(root, r, file)
		}
		return nil
	}))
	for path := range files {
		if !known[path] {
			s.t.Errorf("leftover in the store: %s", path)
		}
	}
	for path := range known {
		if !files[path] {
			s.t.Errorf("missing in the store: %s", path)
		}
	}
	return ids
}

// whole checks a profile's bytes.
func (s *scene) whole(root string, r gopprof.Report, file gopprof.File) {
	data, err := os.ReadFile(filepath.Join(root, file.Profile))
	p, ok := r.Capture.Profile(file.Kind)
	if sum := sha256.Sum256(data); err != nil || !ok || hex.EncodeToString(sum[:]) != p.SHA256 {
		s.t.Errorf("report %s: the stored bytes of %s are not those that were taken: %v", r.ID, file.Kind, err)
	}
}

// streams looks at what the embedded NATS holds after the aggregator's end: the reports,
// the dead letters, and nothing else.
func (s *scene) streams() (announced []string, dead map[string]string) {
	s.t.Helper()
	nats := bustest.Start(s.t, bustest.Options{Dir: filepath.Join(s.Dir, "nats")})
	for _, stream := range []string{bus.StreamCaptures, bus.StreamBytes} {
		for _, m := range nats.Read(stream) {
			s.t.Errorf("leftover in %s: %s", stream, m.Subject)
		}
	}
	for _, m := range nats.Read("KV_gopprof-starts") {
		if m.Header.Get("KV-Operation") == "" { // not a deletion
			s.t.Errorf("leftover in gopprof-starts: %s", m.Subject)
		}
	}
	for _, m := range nats.Read(bus.StreamReports) {
		r, err := wire.DecodeReport(m.Data)
		if err != nil || !strings.HasSuffix(m.Subject, "."+r.ID) {
			s.t.Errorf("report %q was announced as %s: %v", r.ID, m.Subject, err)
		}
		announced = append(announced, r.ID)
	}
	dead = map[string]string{}
	for _, m := range nats.Read(bus.StreamDead) {
		dead[m.Subject[strings.LastIndex(m.Subject, ".")+1:]] = m.Header.Get(bus.HeaderReason)
	}
	return announced, dead
}
