package notify_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
)

// That the records cannot be read, or written, is said when it begins and when it is over, however
// long it takes; then all is told, or given up.
func TestRecordsAreAwayForAnHour(t *testing.T) {
	away := func(kv *buckettest.KV, away bool) {
		kv.Break(map[bool]error{true: bus.ErrAway}[away])
	}
	for name, x := range map[string]struct {
		receiver string
		after    time.Duration
		fault    func(kv *buckettest.KV, on bool)
		ends     string
	}{
		"away":                        {"ops", 0, away, "group told"},
		"full":                        {"ops", 0, (*buckettest.KV).Fill, "group told"},
		"away, of a receiver unknown": {"sre", 24 * time.Hour, away, "group given up"},
	} {
		synctest.Test(t, func(t *testing.T) {
			kv := buckettest.NewKV()
			if err := notifytest.Bare(notify.Deps{Told: kv}).Handle(t.Context(), of(incident(), "web-1")); err != nil {
				t.Fatal(err)
			}
			logs, _, stop := orphanage(t, kv, &chat{}, time.Now, notify.Receiver{Name: x.receiver, Channel: notify.ChannelSlack, URL: "http://127.0.0.1:1"})
			defer stop()
			time.Sleep(x.after)
			synctest.Wait()
			x.fault(kv, true)
			time.Sleep(time.Hour)
			x.fault(kv, false)
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			began, ended := logs.FilterLevelExact(zapcore.WarnLevel).Len(), logs.FilterMessageSnippet("over: ").Len()
			if began != 1 || ended != 1 || logs.FilterMessage(x.ends).Len() != 1 {
				t.Errorf("%s: %d began, %d ended, the last %v", name, began, ended, logs.All()[max(0, logs.Len()-2):])
			}
		})
	}
}
