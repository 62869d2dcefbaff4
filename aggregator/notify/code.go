package notify

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Codes are the codes, beside 0, by which a chat says in the body of an answer with status 200
// that it may take the message later.
type Codes struct {
	Fast  []int         // it is told too often
	Pause time.Duration // that it asks for then
	Busy  []int         // a failure of its own
}

// Read says what an answer with the field "errcode" means: 0 is told; what has no code is not
// from the chat, and may pass; every other code will be the same next time.
func (c Codes) Read(a Answer, said Outcome) Outcome {
	if said.Reason != "" {
		return said
	}
	var answer struct {
		Code *int `json:"errcode"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil || answer.Code == nil {
		return Busy(fmt.Sprintf("%d without an errcode", a.Status), 0)
	}
	code, detail := *answer.Code, fmt.Sprintf("%d, errcode %d", a.Status, *answer.Code)
	switch {
	case code == 0:
		return Outcome{}
	case slices.Contains(c.Fast, code):
		return Busy(detail, c.Pause)
	case slices.Contains(c.Busy, code):
		return Busy(detail, 0)
	}
	return Refused(detail)
}
