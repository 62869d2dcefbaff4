package publish

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// A spool with an entry torn at each of its bytes, one after the other cut and changed:
// the next agent starts, sends what is whole, and names and counts each of the others.
func TestSpoolTornAtEveryByte(t *testing.T) {
	cfg, n := testConfig(t.TempDir()), &nats{}
	cfg.Senders = 8
	whole := []gopprof.Capture{capture(newID(), 50), capture(newID(), 60, 70)}
	torn := tornSpool(t, cfg, whole)
	core, logs := observer.New(zap.WarnLevel)
	p := openLogged(t, cfg, n, zap.New(core))
	run(t, p)
	poll(t, "the spool is empty", empty(p))
	if got := n.ids(); len(got) != len(whole) || !slices.Contains(got, whole[0].ID) || !slices.Contains(got, whole[1].ID) {
		t.Errorf("sent %q, want %s and %s", got, whole[0].ID, whole[1].ID)
	}
	wantDropped(t, p, gopprof.ReasonSpoolTorn, float64(len(torn)))
	for _, entry := range logs.FilterField(zap.String("reason", "spool_torn")).All() {
		id, _ := entry.ContextMap()["capture"].(string)
		delete(torn, id)
	}
	if len(torn) > 0 {
		t.Errorf("%d torn entries were not named", len(torn))
	}
}

// tornSpool writes entries as an earlier agent left them, and returns the IDs of those
// that are not whole.
func tornSpool(t *testing.T, cfg Config, whole []gopprof.Capture) (torn map[string]bool) {
	t.Helper()
	torn = map[string]bool{}
	leave := func(id string, data []byte) {
		if err := os.WriteFile(filepath.Join(cfg.Dir, id+suffix), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range whole {
		leave(c.ID, encoded(t, c))
	}
	small := func(id string) []byte {
		return encoded(t, gopprof.Capture{ID: id, Profiles: []gopprof.Profile{withBytes(gopprof.KindCPU, []byte(id))}})
	}
	for n := range small(newID()) {
		cut, changed := newID(), newID()
		leave(cut, small(cut)[:n])
		data := bytes.Clone(small(changed))
		data[n] ^= 0x20
		leave(changed, data)
		torn[cut], torn[changed] = true, true
	}
	return torn
}
