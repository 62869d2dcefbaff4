package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	observed "github.com/gopprof/gopprof/agent/observe/heapster"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
	"github.com/gopprof/gopprof/test/parts"
)

const (
	queryNodes      = 500
	queryContainers = 30
)

// questions are what a firing agent asks: the first time, and after some time without any, for
// the length of a capture's history; else for the two windows of a rule and two intervals
// before them, as agent/app's second witness does.
var questions = []struct {
	what string
	span time.Duration
}{
	{"first", gopprof.HistoryLength},
	{"following", 5 * time.Minute},
}

// query asks a real InfluxDB that holds the series of 500 nodes for those of one, as a firing
// agent does, and beside it for those of all.
func query(ctx context.Context, b *bench) error {
	db, err := parts.StartInfluxDB(ctx, b.dir)
	if err != nil {
		return err
	}
	defer func() { _ = db.Stop() }()
	if err := writeSeries(ctx, db); err != nil {
		return err
	}
	listener, counted, err := counting(db.URL)
	if err != nil {
		return err
	}
	defer listener.Close()
	server := "http://" + listener.Addr().String()
	b.printf("| question | of one node, as an agent asks | bytes | of all %d nodes | bytes | ratio of times | of bytes |\n|---|---|---|---|---|---|---|\n", queryNodes)
	for _, q := range questions {
		counted.Store(0)
		one, err := askOne(ctx, server, q.span)
		if err != nil {
			return err
		}
		oneBytes := counted.Swap(0) / queryRounds
		all, err := askAll(ctx, server, q.span)
		if err != nil {
			return err
		}
		allBytes := counted.Load() / allRounds
		b.printf("| %s: %.0f minutes | %.1f ms | %d | %s | %d | %.4f | %.4f |\n", q.what, q.span.Minutes(),
			toMS(one), oneBytes, ms(all), allBytes, one.Seconds()/all.Seconds(), float64(oneBytes)/float64(allBytes))
	}
	return nil
}

const queryRounds, allRounds = 20, 3

// counting passes connections on and counts the bytes of the answers, as they are on the wire.
func counting(to string) (listener net.Listener, n *atomic.Int64, err error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, nil, err
	}
	if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, nil, err
	}
	n = new(atomic.Int64)
	go func() {
		for {
			asker, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			go passOn(asker, target.Host, n)
		}
	}()
	return listener, n, nil
}

func passOn(asker net.Conn, to string, n *atomic.Int64) {
	defer asker.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(server, asker)
		_ = server.Close()
	}()
	_, _ = io.Copy(io.MultiWriter(asker, adder{n}), server)
}

type adder struct{ n *atomic.Int64 }

func (a adder) Write(p []byte) (int, error) { a.n.Add(int64(len(p))); return len(p), nil }

// writeSeries writes what Heapster writes of every container: the minutes of the longest
// question up to now, and after that those that passed meanwhile.
func writeSeries(ctx context.Context, db *parts.InfluxDB) error {
	if _, err := db.Query(ctx, "", `CREATE DATABASE "k8s" WITH DURATION INF REPLICATION 1 NAME "default"`); err != nil {
		return err
	}
	from := time.Now().Add(-gopprof.HistoryLength).Truncate(time.Minute)
	for {
		to := time.Now().Truncate(time.Minute)
		if !from.Before(to) {
			return nil
		}
		if err := writeMinutes(ctx, db, from, to); err != nil {
			return err
		}
		from = to
	}
}

// writeMinutes writes those after one up to another.
func writeMinutes(ctx context.Context, db *parts.InfluxDB, from, to time.Time) error {
	for node := range queryNodes {
		var lines bytes.Buffer
		for c := range queryContainers {
			tags := fmt.Sprintf("%s=%s,%s=node-%d,%s=shop,%s=service-%d-%d,%s=app", heapster.TagType, heapster.TypeContainer,
				heapster.TagNode, node, heapster.TagNamespace, heapster.TagPod, node, c, heapster.TagContainer)
			for at := from.Add(time.Minute); !at.After(to); at = at.Add(time.Minute) {
				for measurement, value := range map[string]int{heapster.MeasurementCPUUse: 100 + c, heapster.MeasurementCPULimit: 500, heapster.MeasurementMemoryUse: 1 << 26, heapster.MeasurementMemoryLimit: 1 << 28} {
					fmt.Fprintf(&lines, "%s,%s value=%d %d\n", measurement, tags, value, at.UnixNano())
				}
			}
		}
		if err := db.Write(ctx, "k8s", "", lines.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func askOne(ctx context.Context, server string, span time.Duration) (time.Duration, error) {
	c := observed.DefaultConfig()
	c.URL, c.Jitter = server, 0
	source, err := observed.New(c, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return 0, err
	}
	return median(queryRounds, func(i int) error {
		now := time.Now()
		windows, err := source.Windows(ctx, fmt.Sprintf("node-%d", i*7), now.Add(-span), now)
		if err == nil && len(windows) != queryContainers {
			err = fmt.Errorf("%d containers in the answer, want %d", len(windows), queryContainers)
		}
		return err
	})
}

// askAll asks what one asker for the whole cluster would have to.
func askAll(ctx context.Context, server string, span time.Duration) (time.Duration, error) {
	statement := heapster.Statement(10_000_000, false)
	ofNode := fmt.Sprintf(` AND "%s" = $%s`, heapster.TagNode, heapster.ParameterNode)
	if !strings.Contains(statement, ofNode) {
		return 0, errors.New("the statement does not name the node as this benchmark expects")
	}
	now := time.Now()
	q := url.Values{
		"db": {"k8s"}, "epoch": {"ms"}, "q": {strings.Replace(statement, ofNode, "", 1)},
		"params": {fmt.Sprintf(`{"%s":%d,"%s":%d}`, heapster.ParameterFrom, now.Add(-span).UnixNano(), heapster.ParameterTo, now.UnixNano())},
	}
	return median(allRounds, func(int) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/query?"+q.Encode(), nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK || n < queryNodes*queryContainers {
			return fmt.Errorf("status %s, %d bytes, %w", resp.Status, n, err)
		}
		return nil
	})
}

func median(n int, f func(i int) error) (time.Duration, error) {
	var all []time.Duration
	for i := range n {
		began := time.Now()
		if err := f(i); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}
