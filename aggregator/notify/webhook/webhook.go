// Package webhook writes a report for a program: the CloudEvent that NATS carries, as it
// is. A report enters, the body of a POST leaves; it does no I/O.
package webhook

import (
	"fmt"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// Message returns the body for a report and its media type.
func Message(r gopprof.Report) (body []byte, contentType string, err error) {
	body, err = wire.EncodeReport(r)
	if err != nil {
		return nil, "", fmt.Errorf("writing report %q for a webhook: %w", r.ID, err)
	}
	return body, wire.ContentType, nil
}
