package wire

import (
	"fmt"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// EncodeCaptureRequest returns the message that asks an agent for a capture.
func EncodeCaptureRequest(r gopprof.CaptureRequest) ([]byte, error) {
	if err := checkCaptureRequest(r); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", TypeCaptureRequest, err)
	}
	return encode(event{ID: r.Capture, Source: aggregatorSource, Type: TypeCaptureRequest}, r)
}

// DecodeCaptureRequest reads what EncodeCaptureRequest wrote.
func DecodeCaptureRequest(data []byte) (gopprof.CaptureRequest, error) {
	var r gopprof.CaptureRequest
	e, err := decode(data, TypeCaptureRequest, &r)
	if err != nil {
		return gopprof.CaptureRequest{}, err
	}
	if err := checkSame(e.ID, r.Capture); err != nil {
		return gopprof.CaptureRequest{}, fmt.Errorf("decoding %s: %w", TypeCaptureRequest, err)
	}
	if err := checkCaptureRequest(r); err != nil {
		return gopprof.CaptureRequest{}, fmt.Errorf("decoding %s: %w", TypeCaptureRequest, err)
	}
	return r, nil
}

func checkCaptureRequest(r gopprof.CaptureRequest) error {
	if err := checkID("capture", r.Capture); err != nil {
		return err
	}
	if err := checkID("incident", r.Incident); err != nil {
		return err
	}
	if r.Request.Operation != "" {
		if err := checkID("operation", r.Request.Operation); err != nil {
			return err
		}
	}
	if err := checkTimes("request", r.Deadline); err != nil {
		return err
	}
	if r.CPUSeconds < 0 {
		return fmt.Errorf("cpuSeconds: %w: %g", ErrInvalid, r.CPUSeconds)
	}
	if err := checkNames("request", string(r.Kind), r.Namespace, r.Pod, r.PodUID, r.Container); err != nil {
		return err
	}
	if err := checkWords("request", maxText, r.Request.Who); err != nil {
		return err
	}
	if err := checkAlert(r.Alert); err != nil {
		return err
	}
	return checkKinds(r.Kinds)
}

// EncodeCancelRequest returns the message that asks an agent to stop a capture.
func EncodeCancelRequest(r gopprof.CancelRequest) ([]byte, error) {
	return encodeAbout(TypeCancelRequest, r.Capture, r)
}

// DecodeCancelRequest reads what EncodeCancelRequest wrote.
func DecodeCancelRequest(data []byte) (gopprof.CancelRequest, error) {
	return decodeAbout(data, TypeCancelRequest, func(r gopprof.CancelRequest) string { return r.Capture })
}

// EncodeStatusRequest returns the message that asks an agent what became of a capture.
func EncodeStatusRequest(r gopprof.StatusRequest) ([]byte, error) {
	return encodeAbout(TypeStatusRequest, r.Capture, r)
}

// DecodeStatusRequest reads what EncodeStatusRequest wrote.
func DecodeStatusRequest(data []byte) (gopprof.StatusRequest, error) {
	return decodeAbout(data, TypeStatusRequest, func(r gopprof.StatusRequest) string { return r.Capture })
}

// EncodePauseRequest returns the message that tells an agent to pause or to go on.
func EncodePauseRequest(r gopprof.PauseRequest) ([]byte, error) {
	return encodeAbout(TypePauseRequest, r.ID, r)
}

// DecodePauseRequest reads what EncodePauseRequest wrote.
func DecodePauseRequest(data []byte) (gopprof.PauseRequest, error) {
	return decodeAbout(data, TypePauseRequest, func(r gopprof.PauseRequest) string { return r.ID })
}

// encodeAbout encodes a request that is known by one ID.
func encodeAbout(kind, id string, request any) ([]byte, error) {
	if err := checkID("id", id); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", kind, err)
	}
	return encode(event{ID: id, Source: aggregatorSource, Type: kind}, request)
}

// decodeAbout reads what encodeAbout wrote: the ID must be the envelope's.
func decodeAbout[R any](data []byte, kind string, id func(R) string) (R, error) {
	var r, none R
	e, err := decode(data, kind, &r)
	if err != nil {
		return none, err
	}
	if err := checkSame(e.ID, id(r)); err != nil {
		return none, fmt.Errorf("decoding %s: %w", kind, err)
	}
	if err := checkID("id", id(r)); err != nil {
		return none, fmt.Errorf("decoding %s: %w", kind, err)
	}
	return r, nil
}

// From names the node that sends a reply.
type From struct{ Cluster, Node string }

// EncodeCaptureReply returns a node's answer to a request about this capture.
func EncodeCaptureReply(from From, capture string, r gopprof.CaptureReply) ([]byte, error) {
	if err := checkReply(r); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", TypeCaptureReply, err)
	}
	r.Detail = line(r.Detail)
	return encode(event{ID: capture, Source: agentSource(from.Cluster, from.Node), Type: TypeCaptureReply}, r)
}

// DecodeCaptureReply reads the answer to a request about this capture.
func DecodeCaptureReply(capture string, data []byte) (gopprof.CaptureReply, error) {
	var r gopprof.CaptureReply
	e, err := decode(data, TypeCaptureReply, &r)
	if err != nil {
		return gopprof.CaptureReply{}, err
	}
	if err := checkSame(e.ID, capture); err != nil {
		return gopprof.CaptureReply{}, fmt.Errorf("decoding %s: %w", TypeCaptureReply, err)
	}
	if err := checkReply(r); err != nil {
		return gopprof.CaptureReply{}, fmt.Errorf("decoding %s: %w", TypeCaptureReply, err)
	}
	r.Detail = line(r.Detail)
	return r, nil
}

func checkReply(r gopprof.CaptureReply) error {
	if !(r.SecondsLeft >= 0 && r.SecondsLeft <= 86400) {
		return fmt.Errorf("secondsLeft: %w: %g", ErrInvalid, r.SecondsLeft)
	}
	return checkWords("reply", maxWord, string(r.Reason))
}
