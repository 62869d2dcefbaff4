package api

import (
	"encoding/json"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
)

// What the body of a request may hold. Each element or member that is not what it should be is named in the
// answer, which would be a hundred times as large as the body, and take a thousand times its
// memory.
const (
	maxElements = 2000   // of all arrays; but the first of each
	maxMembers  = 30_000 // of all objects; but the first of each
)

// format is JSON within these bounds.
var format = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}

func unmarshal(data []byte, into any) error {
	if elements, members := count(data); elements > maxElements || members > maxMembers {
		return fmt.Errorf("arrays of %d elements and objects of %d members: at most %d and %d", elements, members, maxElements, maxMembers)
	}
	return json.Unmarshal(data, into)
}

// count counts, whether or not it is valid JSON, what stands behind a comma.
func count(data []byte) (elements, members int) {
	var open []byte // brackets, outermost first
	text := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++ // what it escapes ends no text
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			open = append(open, c)
		case (c == '}' || c == ']') && len(open) > 0:
			open = open[:len(open)-1]
		case c == ',' && len(open) > 0 && open[len(open)-1] == '[':
			elements++
		case c == ',':
			members++
		}
	}
	return elements, members
}
