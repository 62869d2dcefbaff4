// Command probe asks the status port of the program beside it whether it is alive or ready,
// and ends with status 0 or 1. It is the exec probe of gopprof's pods:
//
//	probe 127.0.0.1:9393/readyz
//
// So nothing needs to listen beyond loopback for the kubelet's sake, and the kubelet need not
// start the program itself again, whose start costs five (agent) to sixteen (aggregator)
// times as much CPU.
//
// An address and the name of a check enter; an answer that is not 200 leaves as text on
// standard error. It must never ask beyond loopback, where anybody may answer in the
// program's place.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

const (
	// patience is shorter than the time-out that manifests give a probe, so that the answer
	// is ours and has a text.
	patience = 4 * time.Second
	// answerMost bounds what is read of an answer, in bytes.
	answerMost = 16 << 10
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "probe: usage: probe IP:PORT/livez or IP:PORT/readyz")
		os.Exit(2)
	}
	if err := probe(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// probe asks what is written as IP:PORT/CHECK; nil is a yes.
func probe(question string) error {
	address, check, _ := strings.Cut(question, "/")
	if check != "livez" && check != "readyz" {
		return fmt.Errorf("%q ends in neither /livez nor /readyz", question)
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q does not begin with IP:PORT: %w", question, err)
	}
	if !to.Addr().IsLoopback() {
		return fmt.Errorf("%s is beyond loopback, where anybody may answer", to)
	}
	conn, err := net.DialTimeout("tcp", to.String(), patience)
	if err != nil {
		return fmt.Errorf("%w: is status.listen another address?", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n", check, to); err != nil {
		return err
	}
	return answer(conn)
}

// answer reads an HTTP answer; nil is status 200.
func answer(r io.Reader) error {
	in := bufio.NewReader(io.LimitReader(r, answerMost))
	status, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	version, rest, _ := strings.Cut(strings.TrimSpace(status), " ")
	switch code, _, _ := strings.Cut(rest, " "); {
	case !strings.HasPrefix(version, "HTTP/"):
		return errors.New("what answers is no HTTP server")
	case code == "200":
		return nil
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("answer %q: %w", rest, err)
	}
	_, body, _ := strings.Cut("\r\n"+string(text), "\r\n\r\n") // with the end of the status line
	if body = strings.TrimSpace(body); body == "" {
		body = rest
	}
	return errors.New(body)
}
