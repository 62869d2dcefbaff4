package wire

import (
	"fmt"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// EncodeCapture returns the message for a capture. The profiles' bytes are not in it.
func EncodeCapture(c gopprof.Capture) ([]byte, error) {
	if err := checkCapture(c); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", TypeCapture, err)
	}
	source := agentSource(c.Target.Cluster, c.Target.Node)
	return encode(event{ID: c.ID, Source: source, Type: TypeCapture, Subject: aboutTarget(c.Target), Time: c.End}, c)
}

// aboutTarget is the subject of an event: namespace/pod/container.
func aboutTarget(t gopprof.Target) string { return t.Namespace + "/" + t.Pod + "/" + t.Container }

// DecodeCapture reads what EncodeCapture wrote.
func DecodeCapture(data []byte) (gopprof.Capture, error) {
	var c gopprof.Capture
	e, err := decode(data, TypeCapture, &c)
	if err != nil {
		return gopprof.Capture{}, err
	}
	if err := checkSame(e.ID, c.ID); err != nil {
		return gopprof.Capture{}, fmt.Errorf("decoding %s: %w", TypeCapture, err)
	}
	if err := checkCapture(c); err != nil {
		return gopprof.Capture{}, fmt.Errorf("decoding %s: %w", TypeCapture, err)
	}
	return c, nil
}

func checkCapture(c gopprof.Capture) error {
	if err := checkID("capture", c.ID); err != nil {
		return err
	}
	if err := checkID("incident", c.Incident); err != nil {
		return err
	}
	if err := checkTarget(c.Target); err != nil {
		return err
	}
	for _, f := range c.Failures {
		if err := checkKind(f.Kind); err != nil {
			return err
		}
	}
	return checkProfiles(c.Profiles)
}

// EncodeReport returns the message for a report.
func EncodeReport(r gopprof.Report) ([]byte, error) {
	if err := checkReport(r); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", TypeReport, err)
	}
	return encode(event{ID: r.ID, Source: aggregatorSource, Type: TypeReport, Subject: aboutTarget(r.Capture.Target), Time: r.MadeAt}, r)
}

// DecodeReport reads what EncodeReport wrote.
func DecodeReport(data []byte) (gopprof.Report, error) {
	var r gopprof.Report
	e, err := decode(data, TypeReport, &r)
	if err != nil {
		return gopprof.Report{}, err
	}
	if err := checkSame(e.ID, r.ID); err != nil {
		return gopprof.Report{}, fmt.Errorf("decoding %s: %w", TypeReport, err)
	}
	if err := checkReport(r); err != nil {
		return gopprof.Report{}, fmt.Errorf("decoding %s: %w", TypeReport, err)
	}
	return r, nil
}

func checkReport(r gopprof.Report) error {
	if r.Version != gopprof.ReportVersion {
		return fmt.Errorf("report: %w: %d", ErrVersion, r.Version)
	}
	if err := checkSame(r.ID, r.Capture.ID); err != nil {
		return err
	}
	for _, f := range r.Files {
		if err := checkKind(f.Kind); err != nil {
			return err
		}
	}
	return checkCapture(r.Capture)
}
