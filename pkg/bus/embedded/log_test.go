package embedded_test

import (
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/bus/embedded"
)

// Why JetStream is off the server only logs, in one of these lines.
func TestWhyJetStreamIsOff(t *testing.T) {
	for _, said := range []string{
		"Filesystem permission denied while writing msg, disabling JetStream: %v",
		"Filestore [S] File system permission denied when flushing stream state, disabling JetStream: %v",
		"JetStream out of %s resources, will be DISABLED",
	} {
		r := embedded.NewRecorder(zap.NewNop())
		r.Warnf("Filestore [S] Stream state too short (%d bytes)", 1)
		r.Errorf(said, "THE CAUSE")
		r.Warnf("Healthcheck failed: %q", "JetStream is off")
		if err := r.SwitchedOff(); !strings.Contains(err.Error(), "THE CAUSE") {
			t.Errorf("%s: %v", said, err)
		}
	}
	if err := embedded.NewRecorder(zap.NewNop()).SwitchedOff(); !strings.Contains(err.Error(), "no reason given") {
		t.Errorf("nothing said: %v", err)
	}
}
