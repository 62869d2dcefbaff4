package soak

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/test/rig"
)

var begin = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// said makes a log of lines like "5 a cpu rule fired", of second, pod, rule and message,
// with "key=value" behind it.
func said(text string) (lines []rig.Line) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		second, _ := time.ParseDuration(words[0] + "s")
		l := rig.Line{"time": begin.Add(second).Format(timeLayout), "namespace": "shop", "pod": words[1], "rule": words[2]}
		var message []string
		for _, w := range words[3:] {
			if key, value, ok := strings.Cut(w, "="); ok {
				l[key] = value
			} else {
				message = append(message, w)
			}
		}
		l["msg"] = strings.Join(message, " ")
		lines = append(lines, l)
	}
	return lines
}

const firstLife = `
1 a cpu firing in hand capture=A
1 a cpu rule fired capture=A
1 a cpu capture asked for capture=A
2 a memory firing in hand capture=M
2 a memory rule fired capture=M
3 a cpu capture taken capture=A
3 a cpu capture spooled capture=A
3 a cpu witnesses compared capture=A
4 a memory firing joined another rule's capture capture=A
4 b cpu firing in hand capture=B
4 b cpu rule fired capture=B
4 b cpu capture asked for capture=B
4 b cpu firing came to nothing capture=B reason=budget
4 k cpu firing not in hand capture=K reason=spool_failed
4 k cpu rule fired capture=K
5 k cpu capture asked for capture=K
5 a cpu capture published capture=A
6 c cpu firing in hand capture=C
6 c cpu rule fired capture=C
6 c cpu capture asked for capture=C
7 d cpu firing in hand capture=L
7 e cpu firing in hand capture=E
7 e cpu rule fired capture=E
7 e cpu capture asked for capture=E
7 f cpu firing not in hand capture=F reason=spool_failed
7 f cpu rule fired capture=F
7 f cpu capture asked for capture=F
7 f cpu capture in hand capture=F
8 g cpu firing in hand capture=G
8 g cpu rule fired capture=G
8 g cpu capture asked for capture=G
8 g cpu capture in hand capture=G
8 g cpu firing came to nothing capture=G reason=budget
8 h cpu firing in hand capture=H
8 h cpu rule fired capture=H
8 h memory firing in hand capture=I
8 h memory rule fired capture=I
8 h memory firing joined another rule's capture capture=E
8 e cpu capture spooled capture=E
`

const secondLife = `
19 f cpu firing came to nothing capture=F reason=agent_died
19 f cpu capture spooled capture=F
19 g cpu firing came to nothing capture=G reason=agent_died
19 g cpu capture spooled capture=G
19 c cpu firing came to nothing capture=C reason=agent_died
19 d cpu firing came to nothing capture=L reason=agent_died since=2026-11-28T12:00:07.500Z
19 h cpu firing came to nothing capture=H reason=agent_died
19 h memory firing came to nothing capture=I reason=agent_died
20 e cpu capture published capture=E
21 d cpu firing in hand capture=D
21 d cpu rule fired capture=D
21 d cpu capture asked for capture=D
22 d cpu capture spooled capture=D
22 d cpu witnesses compared capture=D
23 d cpu capture published capture=D
`

const aggregatorLives = `
20 f cpu capture acknowledged capture=F
20 g cpu capture acknowledged capture=G
6 a cpu report committed capture=A
6 a cpu capture acknowledged capture=A
21 e cpu report committed capture=E
22 e cpu capture acknowledged capture=E
24 d cpu report committed capture=D
25 d cpu capture acknowledged capture=D
`

func goodBooks() Books {
	return Books{
		Agent:      []Life{{said(firstLife), begin.Add(9 * time.Second)}, {Lines: said(secondLife)}},
		Aggregator: said(aggregatorLives),
		Listed:     []string{"A", "E", "D"}, Stored: []string{"E", "A", "D"}, Announced: []string{"A", "E", "D"},
		Told: map[string]int{"A": 1, "E": 2}, Silent: map[string]bool{"D": true}, Dead: map[string]string{},
	}
}

var closedSet = map[string]bool{"budget": true, "worker_died": true, "internal": true, "fired": true, "agent_died": true, "spool_failed": true}

func TestEveryTriggerIsAccountedFor(t *testing.T) {
	a := Make(goodBooks(), closedSet)
	if len(a.Faults) > 0 {
		t.Errorf("faults of good books: %q", a.Faults)
	}
	got := map[End]int{}
	for _, trigger := range a.Triggers {
		got[trigger.Ends[0]]++
	}
	want := map[End]int{{How: Reported}: 3, {How: Joined, Reason: "A"}: 1, {How: Joined, Reason: "E"}: 1, {How: Refused, Reason: "budget"}: 2, {How: Refused, Reason: agentDied}: 4, {How: Lost, Reason: "spool_failed"}: 1}
	if !maps.Equal(got, want) {
		t.Errorf("ends %v, want %v", got, want)
	}
	if way := goodBooks().Underway(); len(way) > 0 {
		t.Errorf("underway: %q", way)
	}
}

func without(ids []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(s string) bool { return s == id })
}

// Each of these books has one thing wrong, which is found.
func TestWhatIsWrongIsFound(t *testing.T) {
	edit := func(life int, old, new string) func(*Books) {
		texts := []string{firstLife, secondLife}
		return func(b *Books) { b.Agent[life].Lines = said(strings.Replace(texts[life], old, new, 1)) }
	}
	for name, c := range map[string]struct {
		spoil func(*Books)
		want  string
	}{
		"a spooled capture vanished": {func(b *Books) {
			b.Stored, b.Listed, b.Announced = without(b.Stored, "E"), without(b.Listed, "E"), without(b.Announced, "E")
			delete(b.Told, "E")
		}, "(capture E): ended in 0 ways"},
		"a capture handed on vanished": {func(b *Books) {
			b.Stored, b.Listed, b.Announced = without(b.Stored, "D"), without(b.Listed, "D"), without(b.Announced, "D")
		}, "(capture D): ended in 0 ways"},
		"lost, and nobody killed the agent":     {func(b *Books) { b.Agent[0].Killed = time.Time{} }, "(capture K): ended in 0 ways"},
		"lost long before the agent was killed": {func(b *Books) { b.Agent[0].Killed = begin.Add(time.Hour) }, "and still in hand"},
		"taken long before the agent was killed": {func(b *Books) {
			edit(0, "7 d cpu firing in hand", "7 c cpu capture taken capture=C\n7 d cpu firing in hand")(b)
			b.Agent[0].Killed = begin.Add(time.Minute)
		}, "and not in the spool"},
		"in hand, and not told":                      {edit(1, "19 f cpu firing came to nothing capture=F reason=agent_died\n19 f cpu capture spooled capture=F", ""), "the next one did not say so"},
		"in hand as it fired, and not told":          {edit(1, "19 c cpu firing came to nothing capture=C reason=agent_died", ""), "(capture C): in hand when the agent was killed"},
		"fired, and not in hand":                     {edit(0, "4 k cpu firing not in hand capture=K reason=spool_failed\n", ""), "(capture K): fired, and was not in hand when the agent was killed"},
		"not in hand, and not said why":              {edit(0, "not in hand capture=K reason=spool_failed", "not in hand capture=K"), `lost with agent for the reason ""`},
		"another one not in hand":                    {edit(0, "not in hand capture=K", "not in hand capture=X"), "(capture K): fired, and was not in hand"},
		"died long after it was in hand, and unsaid": {edit(1, "12:00:07.500Z", "12:00:06.900Z"), "agent_died of L: no agent before"},
		"died before it fired":                       {edit(1, "12:00:07.500Z", "12:00:11.100Z"), "agent_died of L: no agent before"},
		"died unsaid, and nobody killed it":          {func(b *Books) { b.Agent[0].Killed = time.Time{} }, "agent_died of L: no agent before"},
		"died unsaid and reported":                   {func(b *Books) { b.Stored = append(b.Stored, "L") }, "(capture L): ended in 2 ways"},
		"died unsaid twice":                          {edit(1, "20 e cpu capture published", "40 d cpu firing came to nothing capture=L reason=agent_died since=2026-11-28T12:00:07.500Z\n20 e cpu capture published"), "(capture L): ended in 2 ways"},
		"asked for as another":                       {edit(1, "asked for capture=D", "asked for capture=Y"), `asked for as capture "Y"`},
		"joined long before it died":                 {edit(0, "8 h memory firing joined", "5 h memory firing joined"), "(capture I): ended in 2 ways"},
		"fired without an ID":                        {edit(0, "rule fired capture=E", "rule fired"), "fired without an ID"},
		"told twice":                                 {edit(1, "21 d cpu rule fired capture=D", "20 f cpu firing came to nothing capture=F reason=agent_died\n21 d cpu rule fired capture=D"), "(capture F): ended in 2 ways"},
		"told of nobody's":                           {edit(1, "capture=F reason=agent_died", "capture=X reason=agent_died"), "agent_died of X: no agent before"},
		"told of another's":                          {edit(1, "19 f cpu firing", "19 a cpu firing"), "agent_died of F: no agent before"},
		"told of its own":                            {edit(1, "22 d cpu witnesses compared capture=D", "22 d cpu firing came to nothing capture=D reason=agent_died"), "agent_died of D: no agent before"},
		"died, and nobody killed it":                 {func(b *Books) { b.Agent[0].Killed = time.Time{} }, "nobody killed the agent that died with it"},
		"died, and in the spool":                     {edit(0, "7 f cpu capture in hand", "8 f cpu capture spooled capture=F\n7 f cpu capture in hand"), "in the spool when the agent died"},
		"died, and reported":                         {func(b *Books) { b.Stored = append(b.Stored, "F") }, "(capture F): ended in 2 ways"},
		"refused long before it died":                {func(b *Books) { b.Agent[0].Killed = begin.Add(time.Minute) }, "(capture G): ended in 2 ways"},
		"refused and reported": {func(b *Books) {
			b.Stored, b.Listed, b.Announced, b.Told["B"] = append(b.Stored, "B"), append(b.Listed, "B"), append(b.Announced, "B"), 1
		}, "(capture B): ended in 2 ways"},
		"reported and dead":            {func(b *Books) { b.Dead["A"] = "worker_died" }, "(capture A): ended in 2 ways"},
		"dead without a trigger":       {func(b *Books) { b.Dead["X"] = "worker_died" }, "dead letter X has no trigger"},
		"a refusal without a reason":   {edit(0, "reason=budget", ""), `the reason ""`},
		"a reason beyond the set":      {edit(0, "reason=budget", "reason=mood"), `the reason "mood"`},
		"a defect for a reason":        {edit(0, "reason=budget", "reason=internal"), `the reason "internal"`},
		"fired twice":                  {edit(0, "7 d cpu firing in hand", "6 c cpu rule fired capture=Z\n7 d cpu firing in hand"), "fired again before it ended"},
		"ended without having fired":   {edit(1, "21 d cpu rule fired capture=D", ""), "which did not fire"},
		"ended as another capture":     {edit(1, "witnesses compared capture=D", "witnesses compared capture=A"), `ended as capture "A"`},
		"two triggers of one capture":  {edit(1, "rule fired capture=D", "rule fired capture=A"), "another trigger has the same capture"},
		"joined what was refused":      {edit(0, "another rule's capture capture=A", "another rule's capture capture=B"), `joined capture "B"`},
		"a report without a trigger":   {func(b *Books) { b.Stored = append(b.Stored, "X") }, "report X has no trigger"},
		"stored twice":                 {func(b *Books) { b.Stored = append(b.Stored, "A") }, "report A is 2 times in the store"},
		"listed twice":                 {func(b *Books) { b.Listed = append(b.Listed, "A") }, "report A is 2 times in the list"},
		"announced twice":              {func(b *Books) { b.Announced = append(b.Announced, "A") }, "report A is 2 times in the stream"},
		"not announced":                {func(b *Books) { b.Announced = without(b.Announced, "A") }, "report A is 0 times in the stream"},
		"not listed":                   {func(b *Books) { b.Listed = without(b.Listed, "A") }, "report A is 0 times in the list"},
		"announced and not stored":     {func(b *Books) { b.Announced = append(b.Announced, "X") }, "report X is in the stream and not in the store"},
		"not told":                     {func(b *Books) { delete(b.Told, "A") }, "report A was not told"},
		"told though contradicted":     {func(b *Books) { b.Told["D"] = 1 }, "report D was contradicted, and told"},
		"told of what is not there":    {func(b *Books) { b.Told["X"] = 1 }, "report X was told, and is not in the store"},
		"a line without its time":      {func(b *Books) { delete(b.Agent[0].Lines[1], "time") }, "a line without its time"},
		"a dead letter with no reason": {func(b *Books) { b.Dead["K"] = "" }, "dead letter for the reason"},
	} {
		t.Run(name, func(t *testing.T) {
			b := goodBooks()
			c.spoil(&b)
			faults := Make(b, closedSet).Faults
			if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, c.want) }) {
				t.Errorf("faults %q, want one with %q", faults, c.want)
			}
		})
	}
}

func TestWhatIsUnderwayIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Books)
		want   string
	}{
		"a trigger":              {func(b *Books) { b.Agent[1].Lines = append(b.Agent[1].Lines, said("30 a cpu rule fired")...) }, "fired and goes on"},
		"a capture":              {func(b *Books) { b.Aggregator = b.Aggregator[:7] }, "capture D was handed on"},
		"a message to the owner": {func(b *Books) { delete(b.Told, "A") }, "report A was not told"},
	} {
		t.Run(name, func(t *testing.T) {
			b := goodBooks()
			c.change(&b)
			if way := b.Underway(); len(way) != 1 || !strings.Contains(way[0], c.want) {
				t.Errorf("underway %q, want one with %q", way, c.want)
			}
		})
	}
}

// An aggregator that was killed between an acknowledgement and its line has acknowledged.
func TestAcknowledgedAndKilledBeforeItSaidSo(t *testing.T) {
	line := func(second int, message, capture string) rig.Line {
		return rig.Line{"time": time.Date(2026, 11, 28, 15, 0, second, 0, time.UTC).Format(timeLayout), "msg": message, "capture": capture}
	}
	killed := []rig.Line{line(1, lineAnnounced, "A"), line(3, lineStarted, ""), line(4, lineAcknowledged, "B"), line(40, lineAcknowledged, "C")}
	for name, c := range map[string]struct {
		lines []rig.Line
		want  bool
	}{
		"killed":                 {killed, true},
		"just now":               {killed[:3], false},
		"it lives":               {[]rig.Line{killed[0], killed[2], killed[3]}, false},
		"before it was made":     {killed[1:], false},
		"it came again":          {append(slices.Clone(killed), line(41, lineAnnounced, "A"), line(45, lineAcknowledged, "D")), false},
		"it came again and died": {append(slices.Clone(killed), line(41, lineAnnounced, "A"), line(45, lineStarted, ""), line(59, lineAcknowledged, "D")), false},
	} {
		if got := (Books{Aggregator: c.lines}).unsaid("A"); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
