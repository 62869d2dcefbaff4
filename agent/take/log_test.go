package take

import (
	"bytes"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What a target answers fills no log: whatever is wrong with it is told in few words.
func TestLogOfAnAnswerThatIsNone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write(append(bytes.Repeat([]byte{1}, 60<<10), "\r\n\r\n"...))
			_ = c.Close()
		}
	}()
	s := &service{}
	s.Server = serve(t, realPprof()).Server
	target := s.target(t, "a")
	target.Endpoint.Port = l.Addr().(*net.TCPAddr).Port
	target.Counter = gopprof.Counter{Metric: "n", Path: "/metrics"}
	var log bytes.Buffer
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&log), zap.DebugLevel)
	tk := New(testConfig(), Deps{}, zap.New(core), prometheus.NewRegistry())
	if _, err := tk.Take(t.Context(), byHand(id1, target, gopprof.KindCPU, gopprof.KindHeap)); err == nil || len(err.Error()) > 2000 {
		t.Errorf("error %.200v", err)
	}
	if log.Len() == 0 {
		t.Error("nothing was logged")
	}
	for line := range bytes.Lines(log.Bytes()) {
		if len(line) > 2000 {
			t.Errorf("a line of %d bytes: %.300s", len(line), line)
		}
	}
}

// A panic, which a defect of ours or of a library may bring about on a target's bytes, costs the
// profile in hand and not the agent; the node's place is given back.
func TestPanicCostsTheProfileOnly(t *testing.T) {
	s := serve(t, realPprof())
	cfg := testConfig()
	cfg.MaxAtOnce = 1
	asked := 0
	verify := func(t gopprof.Target) (gopprof.Target, gopprof.Reason) {
		if asked++; asked == 1 {
			panic("a defect")
		}
		return t, ""
	}
	tk := newTaker(cfg, Deps{Verify: verify})
	wait, err := tk.Start(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindHeap, gopprof.KindGoroutine))
	if err != nil {
		t.Fatal(err)
	}
	c, err := wait()
	if err != nil || len(c.Profiles) != 1 {
		t.Fatalf("%v, %d profiles", err, len(c.Profiles))
	}
	wantFailure(t, c, gopprof.KindHeap, gopprof.ReasonInternal)
	if c, err := tk.Take(t.Context(), byHand(id2, s.target(t, "b"), gopprof.KindHeap)); err != nil || len(c.Profiles) != 1 {
		t.Errorf("the next: %v, %d profiles", err, len(c.Profiles))
	}
}
