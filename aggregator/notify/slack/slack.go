// Package slack writes a report for a person who reads it in Slack, or in a chat that
// understands the format of Slack's incoming webhooks. A report enters, the body of a POST
// leaves; it does no I/O.
//
// Names and summaries come from profiled programs: every one is escaped and bounded, so
// that none can mention anybody, hide a link behind a text or drown the channel.
package slack

import (
	"encoding/json"
	"fmt"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Message returns the body for a report and its media type.
func Message(r gopprof.Report) (body []byte, contentType string, err error) {
	body, err = json.Marshal(map[string]any{"text": escape(r.Explanation.Summary, 2000)})
	if err != nil {
		return nil, "", fmt.Errorf("writing report %q for slack: %w", r.ID, err)
	}
	return body, "application/json", nil
}
