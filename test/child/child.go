// Package child starts programs that tests and the demo need for as long as they run.
//
// A command enters; its end is told. Nothing that was started may outlive the process that
// started it, however that ends.
package child

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Start starts the command in a process group of its own, and kills it when this process
// ends. Once it has ended by itself, or was ended, it calls ended with what cmd.Wait returns;
// of a command that did not start it does not.
func Start(cmd *exec.Cmd, ended func(error)) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGKILL
	started := make(chan error)
	go func() {
		// The kernel kills the child when the thread ends that started it: it has one of its
		// own, which lives as long.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended(cmd.Wait())
		}
	}()
	return <-started
}

// InNamespaces are the attributes of a process in new namespaces of these kinds (CLONE_NEW…).
// Who is not root becomes root of a new namespace of users as well.
func InNamespaces(kinds uintptr) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: kinds}
	if uid := os.Getuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attr
}
