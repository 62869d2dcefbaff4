package heapster

import (
	"math"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// Whatever a server answers, only windows that can be true come out, in their order.
func FuzzAnswer(f *testing.F) {
	const columns = `{"results":[{"series":[{"name":"cpu","columns":["time","usage_rate","limit","namespace_name","pod_name","container_name","source"],"values":[`
	for _, seed := range []string{
		wholeAnswer,
		wholeAnswer[:80],
		``, `null`, `{}`, `[]`, `{"results":null}`, `{"results":[{"error":"e"}]}`, `{"error":"e"}`,
		columns + `[1795334940000,1,2,"a","b","c",null],[1795335000000,3,null,"a","b","c","gopprof"]]}]}]}`,
		columns + `[1795334940000,1.8e19,-2,"a","b","c",null],[1795334940000,1e999,"x","a","b","c",null]]}]}]}`,
		columns + `[9223372036854775807,1,2,"a","b","c",null],[-9223372036854775808,1,2,"a","b","c",null]]}]}]}`,
		columns + `["now",1,2,"a","b","c",null],[1.5,1,2,3,[],{},null],[1],[],null]}]}]}`,
		columns + `[1795334940000,0,0,"a","b","c",null],[1795334940001,5,1e-320,"a","b","c",null]]}]}]}`,
		`{"results":[{"series":[{"name":"memory/limit","columns":["time","time","value"],"values":[[1,2,3]]}]}]}`,
	} {
		f.Add([]byte(seed))
	}
	of := span{from: at(0), to: at(780), resolution: time.Minute}
	f.Fuzz(func(t *testing.T, body []byte) {
		const rowsMax = 100
		tables, err := read(heapster.Answer{Status: 200, JSON: true, Body: body}, rowsMax)
		if err != nil {
			if ReasonOf(err) != gopprof.ReasonSeriesUnreachable || len(err.Error()) > 1000 {
				t.Errorf("error %q", err)
			}
			return
		}
		rows := 0
		for _, table := range tables {
			rows += len(table.Rows)
		}
		if rows > rowsMax {
			t.Errorf("%d rows", rows)
		}
		for _, windows := range assemble(tables, of).windows {
			checkPossible(t, windows, of)
		}
	})
}

func checkPossible(t *testing.T, windows []gopprof.Window, of span) {
	t.Helper()
	before := time.Time{}
	for _, w := range windows {
		if !w.End.After(before) || w.Start.Before(of.from) || w.End.After(of.to) || w.End.Sub(w.Start) != of.resolution {
			t.Errorf("window %v–%v after %v", w.Start, w.End, before)
		}
		before = w.End
		for _, u := range []gopprof.Use{w.CPU, w.Memory} {
			for _, v := range []float64{u.Mean, u.Limit} {
				if !(v >= 0 && v < 1e17) {
					t.Errorf("use %+v", u)
				}
			}
			if !(u.Ratio >= 0 && u.Ratio <= math.MaxInt64) {
				t.Errorf("use %+v", u)
			}
		}
		if !w.HasCPU && w.CPU.Mean != 0 || !w.HasMemory && w.Memory.Mean != 0 {
			t.Errorf("use without a point: %+v", w)
		}
	}
}
