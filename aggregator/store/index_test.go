package store

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// The index against a plain list of everything that was committed: whatever is at or
// above the floor is in it, whatever happens in which order.
func TestIndexIsCompleteAboveItsFloor(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		x := newIndex(1 + rnd.IntN(8))
		committed := make(map[string]bool)
		for range 40 {
			id := firstID(time.UnixMilli(int64(rnd.IntN(30))))
			switch rnd.IntN(6) {
			case 0:
				delete(committed, id)
				x.remove(id)
			case 1:
				fillAsRunDoes(x, committed)
			default:
				committed[id] = true
				x.add(&entry{card: card{id: id}})
			}
			checkIndex(t, x, committed)
		}
	}
}

func fillAsRunDoes(x *index, committed map[string]bool) {
	ids := sortedKeys(committed)
	slices.Reverse(ids)
	floor := lowestID
	if len(ids) > x.most {
		ids = ids[:x.most]
		floor = ids[len(ids)-1]
	}
	x.fill(entriesOf(ids...), floor)
}

func entriesOf(ids ...string) (entries []*entry) {
	for _, id := range ids {
		entries = append(entries, &entry{card: card{id: id}})
	}
	return entries
}

func checkIndex(t *testing.T, x *index, committed map[string]bool) {
	t.Helper()
	if x.len() > x.most {
		t.Fatalf("%d reports in an index of %d", x.len(), x.most)
	}
	found, floor := x.below(highestID, 1000, func(card) bool { return true })
	var want, got []string
	for _, id := range slices.Backward(sortedKeys(committed)) {
		if id >= floor {
			want = append(want, id)
		}
	}
	for _, r := range found {
		got = append(got, r.id)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("above floor %q:\n got %v\nwant %v", floor, got, want)
	}
}

func TestIndexBelow(t *testing.T) {
	x := newIndex(10)
	x.fill(entriesOf("a", "b", "c", "d"), lowestID)
	for _, c := range []struct {
		upper string
		n     int
		want  string
	}{
		{highestID, 9, "dcba"}, {"d", 9, "cba"}, {"cc", 9, "cba"}, {"a", 9, ""}, {highestID, 2, "dc"}, {"c", 1, "b"}, {lowestID, 9, ""},
	} {
		found, _ := x.below(c.upper, c.n, func(card) bool { return true })
		var got strings.Builder
		for _, r := range found {
			got.WriteString(r.id)
		}
		if got.String() != c.want {
			t.Errorf("%d below %q: got %q, want %q", c.n, c.upper, got.String(), c.want)
		}
	}
}
