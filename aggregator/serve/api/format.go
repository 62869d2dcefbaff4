package api

import (
	"encoding/json"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gopprof/gopprof/pkg/wire"
)

// What the body of a request may hold. Each element or member that is not what it should be is
// named in the answer, which would be a hundred times as large as the body, and take a thousand
// times its memory.
const (
	maxElements = 2000   // of all arrays; but the first of each
	maxMembers  = 30_000 // of all objects; but the first of each
)

// format is JSON within these bounds.
var format = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}

func unmarshal(data []byte, into any) error {
	if elements, members := wire.Elements(data); elements > maxElements || members > maxMembers {
		return fmt.Errorf("arrays of %d elements and objects of %d members: at most %d and %d", elements, members, maxElements, maxMembers)
	}
	return json.Unmarshal(data, into)
}
