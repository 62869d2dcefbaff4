package browser

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheNetworkLogShowsWhatLeaves(t *testing.T) {
	const head = `{"constants":{"logEventTypes":{"TCP_CONNECT_ATTEMPT":1,"UDP_CONNECT":2,"UDP_BYTES_SENT":3,"HOST_RESOLVER_MANAGER_REQUEST":4}},` + "\n\"events\": [\n"
	for _, c := range []struct{ name, events, want string }{
		{"loopback", `{"params":{"address":"127.0.0.1:80"},"source":{"id":1},"type":1},` + "\n" + `{"params":{"host":"http://localhost:80"},"source":{"id":1},"type":4}]`, ""},
		{"refused before it is looked up", `{"params":{"host":"https://~notfound"},"source":{"id":1},"type":4}]`, ""},
		{"a probe for routes, which sends nothing", `{"params":{"address":"[2001:db8::1]:443"},"source":{"id":1},"type":2}]`, ""},
		{"TCP", `{"params":{"address":"192.0.2.1:80"},"source":{"id":1},"type":1}]`, "192.0.2.1:80"},
		{"a name", `{"params":{"host":"https://foreign.example"},"source":{"id":1},"type":4}]`, "https://foreign.example"},
		{"UDP", `{"params":{"address":"[2001:db8::1]:443"},"source":{"id":1},"type":2},` + "\n" + `{"params":{"byte_count":9},"source":{"id":1},"type":3}]`, "[2001:db8::1]:443"},
		{"UDP of a socket with many peers", `{"params":{"address":"192.0.2.2:53"},"source":{"id":7},"type":3}]`, "192.0.2.2:53"},
	} {
		got, err := leaving([]byte(head + c.events + ",\n\"polledData\": []}\n"))
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	for _, broken := range []string{"", "{}", `{"constants":{"logEventTypes":{}},` + "\n\"events\": [\n"} {
		if got, err := leaving([]byte(broken)); err == nil || len(got) > 0 {
			t.Errorf("%q is read as %q", broken, got)
		}
	}
}

// What a page can ask of the network without a request that could be refused stays here too.
func TestNothingLeavesTheMachine(t *testing.T) {
	stun, err := net.ListenPacket("udp", "127.0.0.1:0") // no datagram is sent, to whomever
	if err != nil {
		t.Fatal(err)
	}
	defer stun.Close()
	address, host := site(t, map[string]string{"/": page(`<link rel="dns-prefetch" href="//prefetched.example">
<link rel="preconnect" href="http://192.0.2.1"><link rel="preconnect" href="http://preconnected.example">
<script>
const p = new RTCPeerConnection({iceServers: [{urls: "stun:` + stun.LocalAddr().String() + `"}]});
p.createDataChannel("x");
p.onicegatheringstatechange = () => document.body.dataset.ice = p.iceGatheringState;
p.createOffer().then(o => p.setLocalDescription(o));
</script>`)})
	var log string
	got := failures(t, Options{Hosts: []string{host}}, func(b *Browser) {
		log = b.netLog
		b.Open(address).Wait(`document.body.dataset.ice === "complete"`)
	})
	if len(got) > 0 {
		t.Errorf("fails with %q", got)
	}
	if err := stun.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := stun.ReadFrom(make([]byte, 1500)); err == nil {
		t.Errorf("WebRTC sent a datagram of %d bytes", n)
	}
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	// The log shows what was tried: the page itself, and a name that was refused.
	for _, want := range []string{host, "~notfound"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the network log has no %s", want)
		}
	}
	// And the check sees a real connection in a real log.
	planted := strings.ReplaceAll(string(data), `"address":"`+host+`"`, `"address":"192.0.2.9:80"`)
	if out, err := leaving([]byte(planted)); err != nil || !slices.Equal(out, []string{"192.0.2.9:80"}) {
		t.Errorf("a planted connection: %q, %v", out, err)
	}
}
