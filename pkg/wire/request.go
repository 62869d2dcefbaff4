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
	if r.CPUSeconds < 0 {
		return fmt.Errorf("cpuSeconds: %w: %g", ErrInvalid, r.CPUSeconds)
	}
	if err := checkNames("request", string(r.Kind), r.Namespace, r.Pod, r.PodUID, r.Container); err != nil {
		return err
	}
	if err := checkWords("request", maxText, r.Request.Who); err != nil {
		return err
	}
	return checkKinds(r.Kinds)
}

// EncodeCancelRequest returns the message that asks an agent to stop a capture.
func EncodeCancelRequest(r gopprof.CancelRequest) ([]byte, error) {
	if err := checkID("capture", r.Capture); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", TypeCancelRequest, err)
	}
	return encode(event{ID: r.Capture, Source: aggregatorSource, Type: TypeCancelRequest}, r)
}

// DecodeCancelRequest reads what EncodeCancelRequest wrote.
func DecodeCancelRequest(data []byte) (gopprof.CancelRequest, error) {
	var r gopprof.CancelRequest
	e, err := decode(data, TypeCancelRequest, &r)
	if err != nil {
		return gopprof.CancelRequest{}, err
	}
	if err := checkSame(e.ID, r.Capture); err != nil {
		return gopprof.CancelRequest{}, fmt.Errorf("decoding %s: %w", TypeCancelRequest, err)
	}
	if err := checkID("capture", r.Capture); err != nil {
		return gopprof.CancelRequest{}, fmt.Errorf("decoding %s: %w", TypeCancelRequest, err)
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

func checkReply(r gopprof.CaptureReply) error { return checkWords("reply", maxWord, string(r.Reason)) }
