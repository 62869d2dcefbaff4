package wire

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// EncodeFiring returns the message for an agent's question.
func EncodeFiring(f gopprof.Firing) ([]byte, error) {
	if err := checkFiring(f); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", TypeFiring, err)
	}
	source := agentSource(f.Target.Cluster, f.Target.Node)
	return encode(event{ID: f.Capture, Source: source, Type: TypeFiring, Time: f.At}, f)
}

// DecodeFiring reads what EncodeFiring wrote.
func DecodeFiring(data []byte) (gopprof.Firing, error) {
	var f gopprof.Firing
	e, err := decode(data, TypeFiring, &f)
	if err != nil {
		return gopprof.Firing{}, err
	}
	if err := checkSame(e.ID, f.Capture); err != nil {
		return gopprof.Firing{}, fmt.Errorf("decoding %s: %w", TypeFiring, err)
	}
	if err := checkFiring(f); err != nil {
		return gopprof.Firing{}, fmt.Errorf("decoding %s: %w", TypeFiring, err)
	}
	return f, nil
}

func checkFiring(f gopprof.Firing) error {
	if err := checkID("capture", f.Capture); err != nil {
		return err
	}
	if err := checkNames("rule", f.Rule, string(f.Resource)); err != nil {
		return err
	}
	if err := checkKinds(f.Kinds); err != nil {
		return err
	}
	if !within(f.Threshold, 1) || !within(f.CPUSeconds, maxSeconds) {
		return fmt.Errorf("rule: %w: threshold %g, %g seconds", ErrInvalid, f.Threshold, f.CPUSeconds)
	}
	return CheckTarget(f.Target)
}

// maxSeconds is more than anybody lets a profile take.
const maxSeconds = 86_400

// EncodeDecision returns the answer to the firing that announced this capture.
func EncodeDecision(capture string, d gopprof.Decision) ([]byte, error) {
	if err := checkDecision(d); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", TypeDecision, err)
	}
	return encode(event{ID: capture, Source: aggregatorSource, Type: TypeDecision}, d)
}

// DecodeDecision reads the answer to the firing that announced this capture.
func DecodeDecision(capture string, data []byte) (gopprof.Decision, error) {
	var d gopprof.Decision
	e, err := decode(data, TypeDecision, &d)
	if err != nil {
		return gopprof.Decision{}, err
	}
	if err := checkSame(e.ID, capture); err != nil {
		return gopprof.Decision{}, fmt.Errorf("decoding %s: %w", TypeDecision, err)
	}
	if err := checkDecision(d); err != nil {
		return gopprof.Decision{}, fmt.Errorf("decoding %s: %w", TypeDecision, err)
	}
	return d, nil
}

// checkDecision requires the incident of a go, and the reason of a refusal, which may have no
// incident.
func checkDecision(d gopprof.Decision) error {
	if !d.Go && d.Reason == "" {
		return fmt.Errorf("reason: %w: none of a refusal", ErrInvalid)
	}
	if err := checkWords("reason", maxWord, string(d.Reason)); err != nil {
		return err
	}
	if !d.Go && d.Incident == "" {
		return nil
	}
	return checkID("incident", d.Incident)
}

// EncodeState returns the message for a node's state.
func EncodeState(s gopprof.NodeState) ([]byte, error) {
	s = tidyState(s)
	if err := checkState(s); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", TypeState, err)
	}
	id := strconv.FormatInt(s.At.UnixNano(), 10) // with the source, unique
	return encode(event{ID: id, Source: agentSource(s.Cluster, s.Node), Type: TypeState, Time: s.At}, s)
}

// DecodeState reads what EncodeState wrote. Of another's it leaves out the targets and refused
// ones that are not as they should be, and returns what is wrong with each: an agent that is
// newer, or means harm, does not hide the rest of its node.
func DecodeState(data []byte) (s gopprof.NodeState, left []error, err error) {
	if _, err := decode(data, TypeState, &s); err != nil {
		return gopprof.NodeState{}, nil, err
	}
	if err := checkNode(s); err != nil {
		return gopprof.NodeState{}, nil, fmt.Errorf("decoding %s: %w", TypeState, err)
	}
	if checkState(s) != nil {
		s, left = Sendable(s)
	}
	return tidyState(s), left, nil
}

// Sendable returns the state without those of its targets and refused ones for which the
// whole state would be refused, and what is wrong with each of these.
func Sendable(s gopprof.NodeState) (gopprof.NodeState, []error) {
	var left []error
	bad := func(noun any, err error) bool {
		if err == nil {
			_, err = json.Marshal(noun)
		}
		if err != nil {
			left = append(left, err)
		}
		return err != nil
	}
	of := s
	s.Targets = slices.DeleteFunc(slices.Clone(s.Targets), func(t gopprof.TargetState) bool { return bad(t, checkTargetState(of, t)) })
	s.Refused = slices.DeleteFunc(slices.Clone(s.Refused), func(r gopprof.Refusal) bool { return bad(r, checkRefusal(of, r)) })
	return s, left
}

// checkNode checks what a state says of the node itself.
func checkNode(s gopprof.NodeState) error {
	if s.Node == "" {
		return fmt.Errorf("%w: no node", ErrInvalid)
	}
	if err := checkNames("state", s.Cluster, s.Node); err != nil {
		return err
	}
	if err := checkWords("state", maxText, s.Version); err != nil {
		return err
	}
	return checkTimes("state", s.At)
}

// checkState also refuses a state that speaks of another node's targets.
func checkState(s gopprof.NodeState) error {
	if err := checkNode(s); err != nil {
		return err
	}
	for _, t := range s.Targets {
		if err := checkTargetState(s, t); err != nil {
			return err
		}
	}
	for _, r := range s.Refused {
		if err := checkRefusal(s, r); err != nil {
			return err
		}
	}
	return nil
}

func checkRefusal(s gopprof.NodeState, r gopprof.Refusal) error {
	if err := checkOwn(s, r.Target); err != nil {
		return err
	}
	return checkWords("refused", maxWord, string(r.Reason))
}

func checkTargetState(s gopprof.NodeState, t gopprof.TargetState) error {
	if err := checkOwn(s, t.Target); err != nil {
		return err
	}
	if err := checkLabels(t.Target, t.Labels); err != nil {
		return err
	}
	for _, windows := range [][]gopprof.Window{t.Local, t.Series} {
		if err := checkWindows(windows); err != nil {
			return err
		}
	}
	for _, r := range t.Rules {
		if err := checkWords("rule", maxWord, r.Rule, string(r.Resource), string(r.Reason), r.LastCapture); err != nil {
			return err
		}
		if err := checkTimes("rule", r.FiredAt, r.CooldownUntil); err != nil {
			return err
		}
		if err := checkAgreement(r.LastAgreement); err != nil {
			return err
		}
	}
	return nil
}

func checkOwn(s gopprof.NodeState, t gopprof.Target) error {
	if t.Cluster != s.Cluster || t.Node != s.Node {
		return fmt.Errorf("target %q: %w: of node %q, in the state of %q", clip(t.Key()), ErrInvalid, clip(t.Node), clip(s.Node))
	}
	return CheckTarget(t)
}
