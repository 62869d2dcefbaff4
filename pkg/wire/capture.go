package wire

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// EncodeCapture returns the message for a capture. The profiles' bytes are not in it.
func EncodeCapture(c gopprof.Capture) ([]byte, error) {
	c = tidyCapture(c)
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
	return tidyCapture(c), nil
}

// checkCapture bounds whatever an agent may write into a capture, so that the report of
// it fits into a message whatever the profiles say.
func checkCapture(c gopprof.Capture) error {
	if err := checkID("capture", c.ID); err != nil {
		return err
	}
	if err := checkID("incident", c.Incident); err != nil {
		return err
	}
	if err := CheckTarget(c.Target); err != nil {
		return err
	}
	if err := checkLabels(c.Target, c.Labels); err != nil {
		return err
	}
	if err := checkWords("agent", maxText, c.Agent); err != nil {
		return err
	}
	if err := checkTimes("capture", c.Start, c.End); err != nil {
		return err
	}
	if !within(c.Requests, maxValue) {
		return fmt.Errorf("capture: %w: %g requests", ErrInvalid, c.Requests)
	}
	if err := checkTrigger(c.Trigger); err != nil {
		return err
	}
	if err := checkAgreement(c.Agreement); err != nil {
		return err
	}
	if err := checkFailures(c.Failures); err != nil {
		return err
	}
	if err := CheckHistory(c.History); err != nil {
		return err
	}
	return checkProfiles(c.Profiles)
}

// EncodeReport returns the message for a report. Functions are left out, the lightest
// first, where names as long as a profiled program likes make it too large for one message,
// then the history of the capture, then whom it was compared with and the paths of the verdict,
// then what an alert said beside its name, and at last what the witnesses said of any but the newest
// intervals; the stored report has them all. The pod's labels stay: they say who is told.
func EncodeReport(r gopprof.Report) (data []byte, err error) {
	r.Capture = tidyCapture(r.Capture)
	if err := checkReport(r); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", TypeReport, err)
	}
	e := event{ID: r.ID, Source: aggregatorSource, Type: TypeReport, Subject: aboutTarget(r.Capture.Target), Time: r.MadeAt}
	bare := withoutHistory(withFunctions(r, 0))
	named := withAlertNamed(withVerdictOnly(bare))
	for _, lighter := range []gopprof.Report{r, withFunctions(r, 10), withFunctions(r, 0), bare, withVerdictOnly(bare), named, withNewestCompared(named)} {
		data, err = encode(e, lighter)
		if !errors.Is(err, ErrTooLarge) {
			break
		}
	}
	return data, err
}

// withFunctions keeps the first functions of each profile and each difference.
func withFunctions(r gopprof.Report, most int) gopprof.Report {
	r.Explanation.Profiles = slices.Clone(r.Explanation.Profiles)
	for i := range r.Explanation.Profiles {
		p := &r.Explanation.Profiles[i]
		p.Functions = p.Functions[:min(len(p.Functions), most)]
	}
	r.Explanation.Differences = slices.Clone(r.Explanation.Differences)
	for i := range r.Explanation.Differences {
		d := &r.Explanation.Differences[i]
		d.Functions = d.Functions[:min(len(d.Functions), most)]
	}
	return r
}

func withoutHistory(r gopprof.Report) gopprof.Report {
	r.Capture.History = gopprof.History{}
	return r
}

// withVerdictOnly leaves out the siblings and the differences, and of the verdict the paths.
func withVerdictOnly(r gopprof.Report) gopprof.Report {
	r.Siblings, r.Explanation.Differences = nil, nil
	if r.Explanation.Verdict == nil {
		return r
	}
	v := *r.Explanation.Verdict
	v.Causes = slices.Clone(v.Causes)
	for i := range v.Causes {
		v.Causes[i].Path = nil
	}
	r.Explanation.Verdict = &v
	return r
}

// withNewestCompared keeps the intervals that both witnesses saw last.
func withNewestCompared(r gopprof.Report) gopprof.Report {
	const most = 100
	a := &r.Capture.Agreement
	a.Compared = a.Compared[max(0, len(a.Compared)-most):]
	return r
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
	r.Capture = tidyCapture(r.Capture)
	return r, nil
}

func checkReport(r gopprof.Report) error {
	if r.Version != gopprof.ReportVersion {
		return fmt.Errorf("report: %w: %d", ErrVersion, r.Version)
	}
	if err := checkSame(r.ID, r.Capture.ID); err != nil {
		return err
	}
	if err := checkTimes("report", r.MadeAt); err != nil {
		return err
	}
	for _, f := range r.Files {
		if err := checkKind(f.Kind); err != nil {
			return err
		}
	}
	return checkCapture(r.Capture)
}
