package apiservice

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/gopprof/gopprof/pkg/profile"
)

// longestCell bounds a cell of a table.
const longestCell = 120

// wantsTable tells whether the first media type that we can answer with is a table.
func wantsTable(r *http.Request) bool {
	for accept := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		kind, p, err := mime.ParseMediaType(accept)
		if err != nil || kind != "application/json" && kind != "*/*" && kind != "application/*" {
			continue
		}
		if p["as"] == "" {
			return false
		}
		if p["as"] == "Table" && p["g"] == metav1.GroupName && p["v"] == "v1" {
			return true
		}
	}
	return false
}

// column is one of a table, with what it shows of an object.
type column[T any] struct {
	name, description string
	wide              bool // shown with -o wide only
	cell              func(T) string
}

// item is an object of a list: its metadata, and itself.
type item[T any] struct {
	meta  metav1.ObjectMeta
	value T
}

// table makes the table of a list. With ?includeObject=Object the rows carry the objects
// whole, else their metadata.
func table[T any](r *http.Request, list metav1.ListMeta, columns []column[T], items []item[T]) (metav1.Table, error) {
	t := metav1.Table{TypeMeta: metav1.TypeMeta{APIVersion: metav1.SchemeGroupVersion.String(), Kind: "Table"}, ListMeta: list, Rows: []metav1.TableRow{}}
	for i, c := range columns {
		d := metav1.TableColumnDefinition{Name: c.name, Type: "string", Description: c.description}
		if i == 0 {
			d.Format = "name"
		}
		if c.wide {
			d.Priority = 1
		}
		t.ColumnDefinitions = append(t.ColumnDefinitions, d)
	}
	for _, x := range items {
		row := metav1.TableRow{}
		for _, c := range columns {
			row.Cells = append(row.Cells, profile.Printable(c.cell(x.value), longestCell))
		}
		object, err := carried(r.URL.Query().Get("includeObject"), x)
		if err != nil {
			return t, err
		}
		row.Object = object
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

func carried[T any](include string, x item[T]) (runtime.RawExtension, error) {
	switch metav1.IncludeObjectPolicy(include) {
	case metav1.IncludeNone:
		return runtime.RawExtension{}, nil
	case metav1.IncludeObject:
		raw, err := json.Marshal(x.value)
		return runtime.RawExtension{Raw: raw}, err
	}
	return runtime.RawExtension{Object: &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: metav1.SchemeGroupVersion.String(), Kind: "PartialObjectMetadata"}, ObjectMeta: x.meta,
	}}, nil
}

// age writes how long ago something was, as kubectl does.
func age(at, now time.Time) string {
	if at.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(at))
}

// listOptions are those of a list that are understood. Any other way to select is refused
// by its name: who asks for less must not get everything.
type listOptions struct {
	limit int
	after string
}

func readListOptions(r *http.Request) (o listOptions, problem string) {
	q := r.URL.Query()
	for _, key := range []string{"labelSelector", "fieldSelector"} {
		if q.Get(key) != "" {
			return o, key + " is not supported here; the HTTP API at " + gatewayOf("", gatewayAPI) + "reports selects by workload, pod, kind and time"
		}
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return o, "limit: " + quote(text) + " is not a number"
		}
		o.limit = n
	}
	o.after = q.Get("continue")
	return o, ""
}
