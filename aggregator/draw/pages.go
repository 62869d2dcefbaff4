package draw

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/google/pprof/driver"

	"github.com/gopprof/gopprof/pkg/profile"
)

// Pages returns the handlers of the pages of google/pprof's web interface, by their paths,
// over a cleaned profile; with a base, over the difference to it, as -diff_base makes it.
// The profiles are used up. It returns all the handlers that there are, those that read and
// write files and run programs among them: whoever serves them chooses. They share the
// driver's configuration, which is one for the process, and must not run at the same time
// as each other or as a drawing.
func Pages(p, base *profile.Profile) (pages map[string]http.Handler, err error) {
	driverMu.Lock()
	defer driverMu.Unlock()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("making the pages: pprof's driver panicked: %.200v", r)
		}
	}()
	profiles, args := fetcher{"profile": p}, []string{"-http=localhost:1", "-no_browser", "-symbolize=none", "-tools="}
	if base != nil {
		profiles["base"], args = base, append(args, "-diff_base=base")
	}
	o := enclosed(newFlags(append(args, "profile")), profiles)
	var kept held
	o.Sym = &kept
	o.HTTPServer = func(a *driver.HTTPServerArgs) error { // nothing listens: the port is only a name
		pages = a.Handlers
		return nil
	}
	if err := driver.PProf(o); err != nil {
		return nil, fmt.Errorf("making the pages: %w", err)
	}
	if pages == nil {
		return nil, errors.New("making the pages: pprof's driver made none")
	}
	kept.shrink()
	return pages, nil
}

// held is what the driver goes on holding beside the bytes of which it makes a copy for each
// page: the profile that it gives to its symbolizer.
type held struct{ raw *profile.Raw }

// Symbolize changes nothing.
func (h *held) Symbolize(_ string, _ driver.MappingSources, raw *profile.Raw) error {
	h.raw = raw
	return nil
}

// shrink leaves what the pages read of it, which are the types of its values. (The page
// download would need more.)
func (h *held) shrink() {
	if h.raw != nil {
		*h.raw = profile.Raw{SampleType: h.raw.SampleType, DefaultSampleType: h.raw.DefaultSampleType}
	}
}
