//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where a detached instance logs.
const (
	journalSocket = "/run/systemd/journal/stdout"
	logDir        = "/var/log/multihop"
)

// openLog returns where the detached instance of that name logs: systemd's
// journal, or a file of its own that root alone reads.
func openLog(name string) (f *os.File, where string, err error) {
	f, err = openJournal(journalSocket, "multihop-"+name)
	if err == nil {
		return f, "the journal: journalctl -t multihop-" + name, nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
		return nil, "", err
	}
	if err := os.MkdirAll(logDir, 0o700); err != nil {
		return nil, "", fmt.Errorf("log: %w", err)
	}
	where = filepath.Join(logDir, name+".log")
	f, err = os.OpenFile(where, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("log: %w", err)
	}
	return f, where, nil
}

// openJournal opens a stream to systemd's journal: what sd_journal_stream_fd(3)
// does.
func openJournal(path, identifier string) (*os.File, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	defer func() { _ = c.Close() }()
	// Identifier, unit, priority, level prefixes, and no forwarding to syslog,
	// the kernel's log, the console.
	if _, err := fmt.Fprintf(c, "%s\n\n6\n1\n0\n0\n0\n", identifier); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	f, err := c.File() // a copy, in blocking mode
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return f, nil
}

// journalStream returns device and inode of f in the form of JOURNAL_STREAM; "":
// it is no socket.
func journalStream(f *os.File) string {
	info, err := f.Stat()
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
