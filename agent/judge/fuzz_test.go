package judge

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzSaved: whatever an earlier agent's file of cooldowns has become, the next one judges,
// and what it writes down it reads again.
func FuzzSaved(f *testing.F) {
	before := New(cpuOnly(), nil, newRegistry())
	target, source, now := hotTarget()
	for _, fired := range before.Judge(target, source, now) {
		before.Refused(fired, "budget", now)
	}
	good, err := json.Marshal(before.Save())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"shop/api-1/api":{"cpu":{}},"":{"":null},"x":null}`))
	f.Add([]byte(`{"shop/api-1/api":{"cpu":{"firedAt":"9999-12-31T23:59:59Z","cooldown":9223372036854775807,"repeats":-1}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var saved Saved
		if json.Unmarshal(data, &saved) != nil {
			return
		}
		j := New(cpuOnly(), saved, newRegistry())
		j.Judge(target, source, now)
		j.Forget(nil, now.Add(time.Hour))
		if states := j.States(target.Key()); len(states) > 1 {
			t.Errorf("states %+v of one rule", states)
		}
		again, err := json.Marshal(j.Save())
		if err != nil {
			t.Fatal(err)
		}
		var read Saved
		if err := json.Unmarshal(again, &read); err != nil {
			t.Fatal(err)
		}
	})
}
