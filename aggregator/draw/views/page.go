package views

import (
	"bytes"
	"errors"
	"html"
)

// errPage is a page that is not as the driver makes them.
var errPage = errors.New("not a page of pprof's")

// notOffered are those parts of the driver's pages that lead to pages that are not offered.
const notOffered = "#list,#disasm,#config,#download,#action-source,#action-source-tab,#action-source-tab+hr"

// adjust makes the driver's page one of ours: the title says what is looked at, the way
// home leads to the report, and what would lead to pages that are not offered is not shown.
func adjust(page []byte, v View) ([]byte, error) {
	hidden := notOffered
	if !v.Graph {
		hidden += ",#graphbtn"
	}
	edits := []struct{ from, to, with string }{ // the first place each; all are before anything that a profile says but its title
		{"<title>", "</title>", "<title>" + html.EscapeString(v.Title) + "</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"},
		{"</head>", "", "<style>" + hidden + "{display:none!important}</style>\n</head>"},
		{`<h1><a href="./">`, "</a></h1>", `<h1><a href="` + html.EscapeString(v.Home) + `">Report</a></h1>`},
	}
	for _, e := range edits {
		before, rest, found := bytes.Cut(page, []byte(e.from))
		if !found {
			return nil, errPage
		}
		if e.to != "" {
			if _, rest, found = bytes.Cut(rest, []byte(e.to)); !found {
				return nil, errPage
			}
		}
		page = bytes.Join([][]byte{before, rest}, []byte(e.with))
	}
	return page, nil
}
