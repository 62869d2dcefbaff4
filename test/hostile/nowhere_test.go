package hostile

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/test/child"
	"github.com/gopprof/gopprof/test/parts"
)

// nowhereFails is the exit code of tests that could not be put where only loopback is.
const nowhereFails = 77

var errNowhere = errors.New("no network namespace to be had")

// scratchVariable holds the scratch directory of the tests that run in a network namespace
// of their own.
const scratchVariable = "GOPPROF_HOSTILE_SCRATCH"

// nowhere runs the tests where only loopback is: in a network namespace of their own,
// without a route. Whatever of the programs dials another address, by a dialler of ours or
// by any other, for a connection or for a name, sends nothing and is counted by the kernel.
// It returns the tests' exit code.
func nowhere(tests func() int) (code int, err error) {
	if scratch = os.Getenv(scratchVariable); scratch != "" {
		code, err := counted(tests)
		if errors.Is(err, errNowhere) {
			fmt.Fprintln(os.Stderr, "hostile:", err)
			return nowhereFails, nil
		}
		return code, err
	}
	if scratch, err = os.MkdirTemp("", "hostile"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(scratch)
	if err := buildVictim(); err != nil { // which may need modules from elsewhere
		return 0, err
	}
	err = inNamespace()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() != nowhereFails {
		return exit.ExitCode(), nil
	}
	if err == nil || parts.NoSkip() {
		return 0, err
	}
	fmt.Printf("hostile: what dials past the agent's own dialler is not seen: %v\n", err)
	return tests(), nil
}

// inNamespace runs this program again in a network namespace of its own, and waits for it.
func inNamespace() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), scratchVariable+"="+scratch)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = child.InNamespaces(unix.CLONE_NEWNET)
	ended := make(chan error, 1)
	if err := child.Start(cmd, func(err error) { ended <- err }); err != nil {
		return fmt.Errorf("making a network namespace: %w", err)
	}
	return <-ended
}

// counted runs the tests and then demands that nothing wanted to leave.
func counted(tests func() int) (code int, err error) {
	if err := loopback(); err != nil {
		return 0, fmt.Errorf("%w: setting up loopback: %w", errNowhere, err)
	}
	before, err := unroutable()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNowhere, err)
	}
	elsewhere := []string{"192.0.2.1:80"} // of documentation (RFC 5737)
	if _, err := os.Stat(snmp6); err == nil {
		elsewhere = append(elsewhere, "[2001:db8::1]:80") // likewise (RFC 3849)
	}
	for _, address := range elsewhere {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return 0, fmt.Errorf("%s can be reached from where nothing should be", address)
		}
	}
	at, err := unroutable()
	if err != nil {
		return 0, err
	}
	if at != before+len(elsewhere) {
		return 0, fmt.Errorf("the kernel counted %d of %d connections to other addresses", at-before, len(elsewhere))
	}
	code = tests()
	after, err := unroutable()
	if err == nil && after != at {
		err = fmt.Errorf("%d attempts to reach another address than loopback", after-at)
	}
	return code, err
}

// loopback brings the namespace's only interface up.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// unroutable is how often the namespace's kernel was asked to reach an address that it has
// no route to: OutNoRoutes of RFC 4293, of both protocols.
func unroutable() (int, error) {
	v4, err := os.ReadFile("/proc/self/net/snmp")
	if err != nil {
		return 0, err
	}
	n, err := ofHeader(string(v4), "Ip:", "OutNoRoutes")
	if err != nil {
		return 0, err
	}
	v6, err := os.ReadFile(snmp6)
	if errors.Is(err, fs.ErrNotExist) { // a kernel without it
		return n, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(v6)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "Ip6OutNoRoutes" {
			m, err := strconv.Atoi(f[1])
			return n + m, err
		}
	}
	return 0, errors.New("no Ip6OutNoRoutes in " + snmp6)
}

const snmp6 = "/proc/self/net/snmp6"

// ofHeader reads a counter of /proc/net/snmp: a line of names, and one of their values.
func ofHeader(text, protocol, name string) (int, error) {
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0] != protocol:
			continue
		case names == nil:
			names = f
			continue
		}
		for i := range min(len(f), len(names)) {
			if names[i] == name {
				return strconv.Atoi(f[i])
			}
		}
	}
	return 0, fmt.Errorf("no %s of %s in /proc/self/net/snmp", name, protocol)
}
