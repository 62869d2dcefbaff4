package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// A report's folder is
//
//	<cluster>/<yyyy>/<mm>/<dd>/<namespace>/<kind>-<workload>/<yyyymmddThhmmss.mmmZ>-<pod>-<id>
//
// The time is the one inside the identifier (UUIDv7: when the capture was decided), not
// the capture's start: so an identifier alone leads to its day, and within a store the
// order of identifiers is the order of time. Names come from pods and are escaped.

// The longest names in a key, in bytes: a file system takes 255 for a name and S3 1024
// for a key, and a pod's name alone may have 253.
const (
	maxNameBytes = 120
	maxKindBytes = 40
)

const (
	leafTime  = "20060102T150405.000Z"
	dayFormat = "2006/01/02"
)

const reportFile = "report.json"

// place is a report's position in the store.
type place struct {
	id       string
	cluster  string // escaped, as all names here
	ns       string
	workload string // kind-name
	pod      string
}

func placeOf(c gopprof.Capture) (place, error) {
	if err := gopprof.CheckID(c.ID); err != nil {
		return place{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if idTime(c.ID).Year() > 9999 {
		return place{}, fmt.Errorf("%w: identifier %q: made after the year 9999", ErrInvalid, c.ID)
	}
	t := c.Target
	for _, name := range []string{t.Cluster, t.Namespace, t.Workload.Kind, t.Workload.Name, t.Pod} {
		if !utf8.ValidString(name) { // report.json could not hold it
			return place{}, fmt.Errorf("%w: name %q is not UTF-8", ErrInvalid, name)
		}
	}
	return place{
		id:       c.ID,
		cluster:  escape(t.Cluster, maxNameBytes),
		ns:       escape(t.Namespace, maxNameBytes),
		workload: workloadFolder(t.Workload),
		pod:      escape(t.Pod, maxNameBytes),
	}, nil
}

// workloadFolder escapes the kind's '-', so that the first one ends the kind.
func workloadFolder(w gopprof.Workload) string {
	kind := strings.ReplaceAll(escape(w.Kind, maxKindBytes), "-", "_2d")
	return kind + "-" + escape(w.Name, maxNameBytes)
}

func (p place) folder() string {
	t := idTime(p.id)
	return p.cluster + "/" + dayFolder(t) + "/" + p.ns + "/" + p.workload + "/" +
		t.Format(leafTime) + "-" + p.pod + "-" + p.id + "/"
}

func dayFolder(t time.Time) string { return t.UTC().Format(dayFormat) }

func profileFile(k gopprof.Kind) string { return string(k) + k.Extension() }

func drawingFile(k gopprof.Kind) string { return string(k) + ".svg" }

// pictureFile is the picture of the evidence; no kind of profile has that name.
const pictureFile = "evidence.svg"

// keyShape is what all our keys look like; whatever else lies in the bucket is not ours
// and is neither read nor deleted.
var keyShape = regexp.MustCompile(`^([A-Za-z0-9_.-]+)/\d{4}/\d\d/\d\d/([A-Za-z0-9_.-]+)/([A-Za-z0-9_.]+-[A-Za-z0-9_.-]+)/` +
	`(\d{8}T\d{6}\.\d{3}Z)-([A-Za-z0-9_.-]+)-([0-9a-f-]{36})/([a-z]+\.(?:pb\.gz|trace|svg|json))$`)

// parseKey is the inverse of folder + file name: only a key that place would make again
// is accepted, so that no other spelling of a path gets through.
func parseKey(key string) (p place, file string, ok bool) {
	m := keyShape.FindStringSubmatch(key)
	if m == nil || gopprof.CheckID(m[6]) != nil {
		return place{}, "", false
	}
	p = place{cluster: m[1], ns: m[2], workload: m[3], pod: m[5], id: m[6]}
	return p, m[7], p.folder()+m[7] == key
}

// escape makes a name from a pod, cluster or file safe as one folder of a key: letters,
// digits, '-' and inner '.' stay, every other byte becomes _xx. A name that grows past
// most is cut and ends in "__" and a hash of the whole, which no other escaped name holds.
// So different names stay different, none is "." or "..", and none holds a separator or
// anything that a backend would escape once more.
func escape(name string, most int) string {
	if name == "" {
		return "_"
	}
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		inner := i > 0 && i < len(name)-1
		if isPlain(c) || c == '.' && inner {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "_%02x", c)
	}
	if b.Len() <= most {
		return b.String()
	}
	sum := sha256.Sum256([]byte(name))
	hash := "__" + hex.EncodeToString(sum[:10])
	return b.String()[:most-len(hash)] + hash
}

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-'
}

// idTime returns the time in a UUIDv7: its first 48 bits are milliseconds since 1970.
func idTime(id string) time.Time {
	ms, err := strconv.ParseInt(id[:8]+id[9:13], 16, 64)
	if err != nil {
		panic("identifier was not checked: " + id) // every caller holds a checked one
	}
	return time.UnixMilli(ms).UTC()
}

// firstID returns the lowest identifier that can be made at t; it is below every
// identifier of that millisecond and above every earlier one.
func firstID(t time.Time) string {
	ms := max(t.UnixMilli(), 0)
	s := fmt.Sprintf("%012x", ms)
	if len(s) > 12 {
		s = "ffffffffffff"
	}
	return s[:8] + "-" + s[8:] + "-7000-8000-000000000000"
}
