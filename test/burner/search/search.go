// Package search finds products: by the words of their titles, which is ordinary work, or
// by a pattern with placeholders, which costs far more than who wrote it thought.
package search

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/test/burner/catalog"
)

// HotFunction is the name under which looking for patterns stands in a CPU profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/search.(*Index).matchTitles"

// Index knows the titles.
type Index struct {
	titles []string
	words  map[string][]int // indices of titles
}

// hit is a title that was found.
type hit struct {
	Title string `json:"title"`
	Score int    `json:"score"`
}

// NewIndex returns the index of all products.
func NewIndex(products catalog.Products) *Index {
	x := &Index{words: map[string][]int{}}
	for _, p := range products {
		for _, w := range p.Keywords {
			x.words[w] = append(x.words[w], len(x.titles))
		}
		x.titles = append(x.titles, p.Title)
	}
	return x
}

// ServeHTTP answers GET /search?q=words or ?like=pattern with the ten best titles.
func (x *Index) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var hits []hit
	if like := r.URL.Query().Get("like"); like != "" {
		hits = x.matchTitles(like)
	} else {
		hits = x.find(strings.Fields(r.URL.Query().Get("q")))
	}
	text, err := json.Marshal(hits)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(text)
}

func (x *Index) find(words []string) []hit {
	scores := map[int]int{}
	for _, word := range words {
		found := x.words[strings.ToLower(word)]
		for _, i := range found[:min(len(found), 10)] {
			scores[i] += len(word)
		}
	}
	hits := make([]hit, 0, len(scores))
	for i, score := range scores {
		hits = append(hits, hit{x.titles[i], score})
	}
	return best(hits)
}

// matchTitles tries the pattern, "*" being anything, on the titles.
func (x *Index) matchTitles(like string) []hit {
	words := strings.Split(regexp.QuoteMeta(like), `\*`)
	pattern, err := regexp.Compile(`(?i)^(\w*\s*)*` + strings.Join(words, `(\w+\s?)*(.*)`) + `(\s*[\w.]+)*$`)
	if err != nil {
		return nil
	}
	var hits []hit
	for _, title := range x.titles[:60] {
		if m := pattern.FindStringSubmatch(title); m != nil {
			hits = append(hits, hit{title, len(m)})
		}
	}
	return best(hits)
}

func best(hits []hit) []hit {
	slices.SortFunc(hits, func(a, b hit) int {
		if a.Score != b.Score {
			return b.Score - a.Score
		}
		return strings.Compare(a.Title, b.Title)
	})
	return hits[:min(len(hits), 10)]
}
