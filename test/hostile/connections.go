package hostile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// below is a case that answers below HTTP.
func below(name string, raw func(net.Conn), reasons ...gopprof.Reason) Case {
	return Case{Name: name, Kind: gopprof.KindHeap, Raw: raw, Reasons: reasons}
}

// connections are not as HTTP would have them.
func connections() []Case {
	const ok = "HTTP/1.1 200 OK\r\n"
	good := profiletest.Heap(profiletest.On(1<<20, "main.f"))
	return []Case{
		slowly(below("accepts and says nothing", waiting, timeout)),
		slowly(below("never reads", func(c net.Conn) { buf := make([]byte, 1); _, _ = io.ReadFull(c, buf); waiting(c) }, timeout)),
		slowly(below("status line without end, slowly", func(c net.Conn) { slowLine(c) }, timeout, unreachable)),
		below("hangs up", func(net.Conn) {}, unreachable),
		below("another protocol", says("SSH-2.0-OpenSSH_9.2\r\n"), unreachable),
		below("HTTP/0.9", says(string(good)), unreachable),
		below("HTTP/9.9", says("HTTP/9.9 200 OK\r\nContent-Length: 1\r\n\r\nx"), unreachable, invalid),
		below("status that is no number", says("HTTP/1.1 2x0 OK\r\n\r\n"), unreachable),
		below("header bomb: one line", endlessly(ok+"X: ", strings.Repeat("x", 4<<10)), unreachable),
		below("header bomb: many lines", endlessly(ok, "X-Header: x\r\n"), unreachable),
		below("header bomb: many names", numbered(ok), unreachable),
		below("header bomb: folded lines", endlessly(ok+"X: x\r\n", " folded\r\n"), unreachable),
		below("header bomb: informational answers", endlessly("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), unreachable),
		below("header bomb: continue", endlessly("", "HTTP/1.1 100 Continue\r\n\r\n"), unreachable),
		below("switches protocols", says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), status, unreachable),
		below("trailer bomb", endlessly(ok+"Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\n", "X: "+strings.Repeat("x", 4<<10)+"\r\n"), unreachable),
		below("chunk extensions", endlessly(ok+"Transfer-Encoding: chunked\r\n\r\n", "1;"+strings.Repeat("x", 2000)+"\r\n\x00\r\n"), unreachable, tooLarge),
		below("chunk extension without end", endlessly(ok+"Transfer-Encoding: chunked\r\n\r\n1;", strings.Repeat("x", 4<<10)), unreachable),
		below("chunks of one byte", endlessly(ok+"Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\n\x00\r\n", 1000)), unreachable, tooLarge),
		below("chunk of the largest size", says(ok+"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx"), unreachable),
		below("chunk of a negative size", says(ok+"Transfer-Encoding: chunked\r\n\r\n-1\r\nx"), unreachable),
		below("two lengths", says(ok+"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), unreachable),
		below("negative length", says(ok+"Content-Length: -1\r\n\r\nx"), unreachable),
		below("length and chunks", says(ok+"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), unreachable, invalid),
		below("cut in the body", says(ok+"Content-Length: 100\r\n\r\nabc"), unreachable),
		below("HTTP/2 settings", endlessly("", frame(4, 0, nil)), unreachable),
		below("HTTP/2 pings", endlessly("", frame(6, 0, make([]byte, 8))), unreachable),
		below("HTTP/2 resets", endlessly(frame(4, 0, nil), frame(3, 1, make([]byte, 4))), unreachable),
		below("HTTP/2 continuations", endlessly(frame(4, 0, nil)+frame(1, 1, nil), frame(9, 1, make([]byte, 1<<10))), unreachable),
	}
}

// waiting says nothing until the other side has gone.
func waiting(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// says answers a request with a text and hangs up.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		readRequest(c)
		_, _ = io.WriteString(c, text)
	}
}

// endlessly answers with a text, and then with another until the other side has gone.
func endlessly(first, then string) func(net.Conn) {
	return func(c net.Conn) {
		readRequest(c)
		_, err := io.WriteString(c, first)
		for chunk := bytes.Repeat([]byte(then), max(1, 16<<10/len(then))); err == nil; {
			_, err = c.Write(chunk)
		}
	}
}

// numbered answers with headers that all have other names.
func numbered(first string) func(net.Conn) {
	return func(c net.Conn) {
		readRequest(c)
		b := bufio.NewWriter(c)
		_, err := b.WriteString(first)
		for i := 0; err == nil; i++ {
			_, err = fmt.Fprintf(b, "X-%d: x\r\n", i)
		}
	}
}

// slowLine never ends its status line; each read of the other side succeeds.
func slowLine(c net.Conn) {
	readRequest(c)
	_, _ = io.WriteString(c, "HTTP/1.1 200 ")
	waiting(c)
}

// readRequest reads up to the empty line that ends a request.
func readRequest(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil || strings.TrimSpace(line) == "" {
			return
		}
	}
}

// frame is one of HTTP/2 (RFC 9113, 4.1).
func frame(kind byte, stream uint32, body []byte) string {
	b := []byte{byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), kind, 0}
	return string(append(binary.BigEndian.AppendUint32(b, stream), body...))
}
