package heapster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	client "github.com/influxdata/influxdb1-client/v2"

	"github.com/gopprof/gopprof/pkg/heapster"
)

// What may be wrong with an answer.
var (
	errNotInfluxDB = errors.New("the answer is not InfluxDB's")
	errNotWhole    = errors.New("the answer was cut off")
	errTooManyRows = errors.New("the answer has more rows than allowed")
	errRefused     = errors.New("InfluxDB refused")

	errCutByInfluxDB = fmt.Errorf("%w by InfluxDB's max-row-limit", errNotWhole)
)

// ask sends the query for one node and decodes the answer. It asks for one interval more
// than will be returned, which may hold a limit that is missing later.
func (s *Source) ask(ctx context.Context, node string, of span) ([]heapster.Table, error) {
	parameters := map[string]any{
		heapster.ParameterNode: client.StringValue(node),
		heapster.ParameterFrom: client.IntegerValue(of.from.UnixNano()),
		heapster.ParameterTo:   client.IntegerValue(of.until().UnixNano()),
	}
	if s.config.ClusterName != "" {
		parameters[heapster.ParameterCluster] = client.StringValue(s.config.ClusterName)
	}
	bound, err := json.Marshal(parameters)
	if err != nil {
		return nil, fmt.Errorf("binding parameters: %w", err)
	}
	s.metrics.queries.Inc()
	began := time.Now()
	answer, err := s.server.Query(ctx, url.Values{
		"q":      {heapster.Statement(s.config.MaxRows+1, s.config.ClusterName != "")},
		"db":     {s.config.Database},
		"rp":     {s.config.RetentionPolicy},
		"epoch":  {"ms"},
		"params": {string(bound)},
	})
	s.metrics.seconds.Observe(time.Since(began).Seconds())
	if err != nil {
		return nil, err
	}
	return read(answer, s.config.MaxRows)
}

// read returns the tables of a whole answer.
func read(a heapster.Answer, rowsMax int) ([]heapster.Table, error) {
	if !a.JSON {
		return nil, fmt.Errorf("%w: status %d, %s", errNotInfluxDB, a.Status, clip(a.Body))
	}
	if err := foresee(a.Body, rowsMax); err != nil {
		return nil, err
	}
	response, err := decode(a.Body)
	if err != nil {
		return nil, err
	}
	if err := response.Error(); err != nil {
		return nil, fmt.Errorf("%w: status %d, %s", errRefused, a.Status, clip([]byte(err.Error())))
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d", errRefused, a.Status)
	}
	return tables(response, rowsMax)
}

// foresee refuses an answer that would be far larger decoded than it is as text, such as a
// list of millions of empty objects. A genuine one has an object for each of six measurements,
// a list for each row and nine values in a row; the names in it hold none of these signs.
func foresee(body []byte, rowsMax int) error {
	const objects, values = 100, 12
	lists := rowsMax + 100
	switch {
	case bytes.Count(body, []byte("{")) > objects:
		return fmt.Errorf("%w: more than %d objects", errNotInfluxDB, objects)
	case bytes.Count(body, []byte("[")) > lists, bytes.Count(body, []byte(",")) > values*lists:
		return fmt.Errorf("%w: %d", errTooManyRows, rowsMax)
	}
	return nil
}

// decode reads the one JSON document that an answer is. The library's reader puts all it has
// read in its errors; here they say where the JSON ends.
func decode(body []byte) (*client.Response, error) {
	chunks := client.NewChunkedResponse(bytes.NewReader(body))
	response, err := chunks.NextResponse()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: it is empty", errNotWhole)
	case err != nil:
		return nil, undecodable(body)
	}
	if _, err := chunks.NextResponse(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more follows its end", errNotInfluxDB)
	}
	return response, nil
}

func undecodable(body []byte) error {
	var any json.RawMessage
	err := json.NewDecoder(bytes.NewReader(body)).Decode(&any)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w after %d bytes", errNotWhole, len(body))
	}
	return fmt.Errorf("%w: %s", errNotInfluxDB, clip(body))
}

func tables(r *client.Response, rowsMax int) ([]heapster.Table, error) {
	if len(r.Results) != 1 {
		return nil, fmt.Errorf("%w: %d results to one statement", errNotInfluxDB, len(r.Results))
	}
	rows := 0
	var out []heapster.Table
	for _, series := range r.Results[0].Series {
		if series.Partial {
			return nil, errCutByInfluxDB
		}
		if rows += len(series.Values); rows > rowsMax {
			return nil, fmt.Errorf("%w: %d", errTooManyRows, rowsMax)
		}
		out = append(out, heapster.Table{Measurement: series.Name, Columns: series.Columns, Rows: series.Values})
	}
	return out, nil
}

// clip quotes the beginning of what a server said: it may be anything.
func clip(body []byte) string {
	const most = 120
	if len(body) <= most {
		return fmt.Sprintf("%q", body)
	}
	return fmt.Sprintf("%q…", body[:most])
}
