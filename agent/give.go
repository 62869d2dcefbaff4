package main

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// giveDirectory makes a directory and gives it to a user. A hostPath directory belongs to
// root and no fsGroup changes that; this is all that needs root, once, with CAP_CHOWN and
// nothing else. Given to the user before, it is left alone.
func giveDirectory(dir, to string) error {
	uid, gid, err := parseOwner(to)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("looking at the directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("directory %q: %w", dir, &fs.PathError{Op: "give", Path: dir, Err: syscall.ENOTDIR})
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) == uid && int(s.Gid) == gid {
		return nil
	}
	// The mode first: root without CAP_FOWNER may only change what is still its own.
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("giving the directory away: %w", err)
	}
	if err := os.Lchown(dir, uid, gid); err != nil {
		return fmt.Errorf("giving the directory away: %w", err)
	}
	return nil
}

func parseOwner(s string) (uid, gid int, err error) {
	u, g, _ := strings.Cut(s, ":")
	uid64, uidErr := strconv.ParseUint(u, 10, 31)
	gid64, gidErr := strconv.ParseUint(g, 10, 31)
	if uidErr != nil || gidErr != nil {
		return 0, 0, fmt.Errorf("%q is not uid:gid", s)
	}
	return int(uid64), int(gid64), nil
}
