package draw

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/pprof/driver"

	"github.com/gopprof/gopprof/pkg/profile"
)

// driverMu is held around every call of the driver: its configuration is one for the
// process, and concurrent calls give wrong output without an error.
var driverMu sync.Mutex

// composeDOT returns the call graph of a cleaned profile in graphviz's language. The
// profile is used up.
func composeDOT(p *profile.Profile, sampleType string, nodes int) (dot []byte, err error) {
	driverMu.Lock()
	defer driverMu.Unlock()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("composing the graph: pprof's driver panicked: %.200v", r)
		}
	}()
	out := &capture{}
	err = runDriver(p, newFlags(append(flags(sampleType, nodes), "profile")), out)
	if err != nil {
		return nil, fmt.Errorf("composing the graph: %w", err)
	}
	// dot reads HTML entities in names, and one of a control character ends in an SVG that
	// no parser takes. The driver writes none itself: each ampersand is a name's.
	return bytes.ReplaceAll(out.Bytes(), []byte("&"), []byte("&amp;")), nil
}

// runDriver calls the driver for a drawing.
func runDriver(p *profile.Profile, f *flagSet, out *capture) error {
	o := enclosed(f, fetcher{"profile": p})
	o.Writer = out
	return driver.PProf(o)
}

// enclosed are options of the driver with nothing of the world within its reach.
func enclosed(f *flagSet, profiles fetcher) *driver.Options {
	return &driver.Options{
		Writer:        &capture{},
		Flagset:       f,
		Fetch:         profiles,
		Sym:           noSymbols{},
		Obj:           noObjects{},
		UI:            silent{},
		HTTPTransport: noTransport{},
	}
}

// nodeFraction is the part of the total below which a function is not drawn.
const nodeFraction = 0.005

// flags sets every value of the driver's configuration, because what an earlier call set
// stays set. Without -output it would write to standard output.
func flags(sampleType string, nodes int) []string {
	return []string{
		"-dot", "-output=graph", "-symbolize=none",
		"-sample_index=" + sampleType, "-nodecount=" + strconv.Itoa(nodes),
		"-nodefraction=" + strconv.FormatFloat(nodeFraction, 'f', -1, 64), "-edgefraction=0.001", "-trim=true",
		"-unit=minimum", "-divide_by=1", "-mean=false", "-normalize=false",
		"-functions", "-flat", "-noinlines=false", "-showcolumns=false",
		"-call_tree=false", "-relative_percentages=false", "-compact_labels=false",
		"-drop_negative=false", "-intel_syntax=false",
		"-focus=", "-ignore=", "-prune_from=", "-hide=", "-show=", "-show_from=",
		"-tagfocus=", "-tagignore=", "-tagshow=", "-taghide=", "-tagroot=", "-tagleaf=",
		"-source_path=", "-trim_path=", "-add_comment=", "-buildid=", "-tools=",
	}
}

// flagSet is the driver's view of a command line.
type flagSet struct {
	*flag.FlagSet
	args []string
}

func newFlags(args []string) *flagSet {
	f := flag.NewFlagSet("pprof", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	return &flagSet{FlagSet: f, args: args}
}

func (f *flagSet) StringList(name, value, usage string) *[]*string {
	return &[]*string{f.String(name, value, usage)}
}

func (f *flagSet) ExtraUsage() string   { return "" }
func (f *flagSet) AddExtraUsage(string) {}

func (f *flagSet) Parse(func()) []string {
	if err := f.FlagSet.Parse(f.args); err != nil {
		panic(err) // flags names one that this version of pprof does not have
	}
	return f.Args()
}

// capture keeps what the driver writes.
type capture struct{ bytes.Buffer }

func (c *capture) Open(string) (io.WriteCloser, error) { return c, nil }
func (c *capture) Close() error                        { return nil }

// fetcher answers the driver's sources, by their names, with profiles. Each is used up.
type fetcher map[string]*profile.Profile

func (f fetcher) Fetch(source string, _, _ time.Duration) (*profile.Raw, string, error) {
	p := f[source]
	if p == nil {
		return nil, "", errRefused
	}
	return p.Raw(), "", nil
}

// errRefused answers everything that would reach outside the process.
var errRefused = errors.New("refused")

type noSymbols struct{}

func (noSymbols) Symbolize(string, driver.MappingSources, *profile.Raw) error { return nil }

type noObjects struct{}

func (noObjects) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errRefused
}

func (noObjects) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) {
	return nil, errRefused
}

type noTransport struct{}

func (noTransport) RoundTrip(*http.Request) (*http.Response, error) { return nil, errRefused }

type silent struct{}

func (silent) ReadLine(string) (string, error)     { return "", io.EOF }
func (silent) Print(...any)                        {}
func (silent) PrintErr(...any)                     {}
func (silent) IsTerminal() bool                    { return false }
func (silent) WantBrowser() bool                   { return false }
func (silent) SetAutoComplete(func(string) string) {}
