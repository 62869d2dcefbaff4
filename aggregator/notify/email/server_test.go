package email_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is a strict SMTP server: it takes a mail only over TLS from who has logged in, and
// counts what came before that.
type server struct {
	addr, ca string
	tls      *tls.Config
	always   bool              // TLS from the first byte
	plain    bool              // neither TLS nor login
	mechs    string            // of AUTH
	gone     string            // a recipient who is not there
	fail     map[string]string // verb → answer in its place

	mu       sync.Mutex
	rcpt     map[string]string // recipient → answer to RCPT
	mails    []mailed
	clear    string // what came before TLS
	password string // that was sent
}

type mailed struct {
	from string
	to   []string
	data string
}

func startServer(t *testing.T, change func(*server)) *server {
	s := &server{mechs: "PLAIN LOGIN", fail: map[string]string{}}
	cert, ca := certificate(t)
	s.tls, s.ca = &tls.Config{Certificates: []tls.Certificate{cert}}, ca
	change(s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.addr = l.Addr().String()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.talk(conn)
		}
	}()
	return s
}

func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}

// talk is one conversation.
func (s *server) talk(conn net.Conn) {
	defer func() { conn.Close() }()
	secure := s.always
	if s.always {
		conn = tls.Server(conn, s.tls)
	}
	r := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 double ESMTP")
	var m mailed
	known := s.plain
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if !secure {
			s.mu.Lock()
			s.clear += line
			s.mu.Unlock()
		}
		line = strings.TrimRight(line, "\r\n")
		verb := strings.ToUpper(strings.SplitN(strings.SplitN(line, " ", 2)[0], ":", 2)[0])
		if answer := s.fail[verb]; answer != "" {
			say("%s", answer)
			continue
		}
		switch verb {
		case "EHLO":
			offers := []string{"double"}
			if !secure && !s.plain {
				offers = append(offers, "STARTTLS")
			}
			if secure && s.mechs != "" {
				offers = append(offers, "AUTH "+s.mechs)
			}
			for k, o := range offers {
				say("250%s%s", map[bool]string{true: " ", false: "-"}[k == len(offers)-1], o)
			}
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, s.tls)
			r, secure = bufio.NewReader(conn), true
		case "AUTH":
			if known = s.auth(line, r, say); !known {
				say("535 5.7.8 no")
				continue
			}
			say("235 welcome")
		case "MAIL":
			if !known {
				say("530 5.7.0 who are you")
				continue
			}
			m = mailed{from: line}
			say("250 ok")
		case "RCPT":
			if s.gone != "" && strings.Contains(line, s.gone) {
				say("550 5.1.1 nobody of that name")
				continue
			}
			if answer := s.said(line); answer != "" {
				say("%s", answer)
				continue
			}
			m.to = append(m.to, line)
			say("250 ok")
		case "DATA":
			say("354 go on")
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				m.data += strings.TrimPrefix(line, ".")
			}
			if answer := s.fail["END"]; answer != "" {
				say("%s", answer)
				continue
			}
			s.mu.Lock()
			s.mails = append(s.mails, m)
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *server) auth(line string, r *bufio.Reader, say func(string, ...any)) bool {
	field := func(text string) string {
		b, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		return string(b)
	}
	words := strings.Fields(line)
	user, password := "", ""
	switch {
	case len(words) == 3 && words[1] == "PLAIN":
		if parts := strings.Split(field(words[2]), "\x00"); len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	case len(words) == 2 && words[1] == "LOGIN":
		ask := func(what string) string {
			say("334 %s", base64.StdEncoding.EncodeToString([]byte(what)))
			answer, _ := r.ReadString('\n')
			return field(answer)
		}
		user, password = ask("Username:"), ask("Password:")
	}
	s.mu.Lock()
	s.password = password
	s.mu.Unlock()
	return user == "gopprof" && password == secretPassword
}

// say sets what is said of recipients; nil takes all.
func (s *server) say(rcpt map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rcpt = rcpt
}

func (s *server) said(line string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for who, answer := range s.rcpt {
		if strings.Contains(line, who) {
			return answer
		}
	}
	return ""
}

// took returns who got mails since the last call, a line for each mail.
func (s *server) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := ""
	for _, m := range s.mails {
		all += strings.NewReplacer("RCPT TO:<", "", "@example.com>", "").Replace(strings.Join(m.to, " ")) + "\n"
	}
	s.mails = nil
	return all
}

func (s *server) got() []mailed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mailed(nil), s.mails...)
}

func newDecoder(r io.Reader) io.Reader { return base64.NewDecoder(base64.StdEncoding, r) }
