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
	"github.com/gopprof/gopprof/pkg/heapster"
	"github.com/gopprof/gopprof/test/parts"
)

const (
	queryNodes      = 500
	queryContainers = 30
	queryMinutes    = 5
)

// query asks a real InfluxDB that holds the series of 500 nodes for those of one, as a firing
// agent does, and beside it for those of all.
func query(ctx context.Context, b *bench) error {
	db, err := parts.StartInfluxDB(ctx, b.dir)
	if err != nil {
		return err
	}
	defer func() { _ = db.Stop() }()
	end := time.Now().Truncate(time.Minute)
	if err := writeSeries(ctx, db, end); err != nil {
		return err
	}
	listener, counted, err := counting(db.URL)
	if err != nil {
		return err
	}
	defer listener.Close()
	server := "http://" + listener.Addr().String()
	one, err := askOne(ctx, server, end)
	if err != nil {
		return err
	}
	oneBytes := counted.Swap(0) / queryRounds
	all, err := askAll(ctx, server, end)
	if err != nil {
		return err
	}
	allBytes := counted.Load() / allRounds
	b.printf("| query | median | bytes |\n|---|---|---|\n| one node, as an agent asks | %s | %d |\n| all %d nodes | %s | %d |\n| ratio | %.4f | %.4f |\n",
		ms(one), oneBytes, queryNodes, ms(all), allBytes, one.Seconds()/all.Seconds(), float64(oneBytes)/float64(allBytes))
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

// writeSeries writes minutes of what Heapster writes of every container.
func writeSeries(ctx context.Context, db *parts.InfluxDB, end time.Time) error {
	if _, err := db.Query(ctx, "", `CREATE DATABASE "k8s" WITH DURATION INF REPLICATION 1 NAME "default"`); err != nil {
		return err
	}
	for node := range queryNodes {
		var lines bytes.Buffer
		for c := range queryContainers {
			tags := fmt.Sprintf("%s=%s,%s=node-%d,%s=shop,%s=service-%d-%d,%s=app", heapster.TagType, heapster.TypeContainer,
				heapster.TagNode, node, heapster.TagNamespace, heapster.TagPod, node, c, heapster.TagContainer)
			for m := range queryMinutes {
				at := end.Add(-time.Duration(m) * time.Minute).UnixNano()
				for measurement, value := range map[string]int{heapster.MeasurementCPUUse: 100 + c, heapster.MeasurementCPULimit: 500, heapster.MeasurementMemoryUse: 1 << 26, heapster.MeasurementMemoryLimit: 1 << 28} {
					fmt.Fprintf(&lines, "%s,%s value=%d %d\n", measurement, tags, value, at)
				}
			}
		}
		if err := db.Write(ctx, "k8s", "", lines.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func askOne(ctx context.Context, server string, end time.Time) (time.Duration, error) {
	c := observed.DefaultConfig()
	c.URL, c.Jitter = server, 0
	source, err := observed.New(c, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return 0, err
	}
	return median(queryRounds, func(i int) error {
		windows, err := source.Windows(ctx, fmt.Sprintf("node-%d", i*7), end.Add(-queryMinutes*time.Minute), end)
		if err == nil && len(windows) != queryContainers {
			err = fmt.Errorf("%d containers in the answer, want %d", len(windows), queryContainers)
		}
		return err
	})
}

// askAll asks what one asker for the whole cluster would have to.
func askAll(ctx context.Context, server string, end time.Time) (time.Duration, error) {
	statement := heapster.Statement(10_000_000, false)
	ofNode := fmt.Sprintf(` AND "%s" = $%s`, heapster.TagNode, heapster.ParameterNode)
	if !strings.Contains(statement, ofNode) {
		return 0, errors.New("the statement does not name the node as this benchmark expects")
	}
	q := url.Values{
		"db": {"k8s"}, "epoch": {"ms"}, "q": {strings.Replace(statement, ofNode, "", 1)},
		"params": {fmt.Sprintf(`{"%s":%d,"%s":%d}`, heapster.ParameterFrom, end.Add(-queryMinutes*time.Minute).UnixNano(), heapster.ParameterTo, end.UnixNano())},
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
