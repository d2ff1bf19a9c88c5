package netlab

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Retransmits returns how many segments of a TCP connection its own end has sent
// again so far.
func Retransmits(c syscall.Conn) (int, error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var info *unix.TCPInfo
	if cerr := rc.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); cerr != nil {
		return 0, cerr
	}
	if err != nil {
		return 0, fmt.Errorf("netlab: TCP_INFO: %w", err)
	}
	return int(info.Total_retrans), nil
}

// Pace bounds the rate of a TCP connection's data, in bytes a second.
func Pace(c syscall.Conn, rate int) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := rc.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, rate)
	}); cerr != nil {
		return cerr
	}
	return err
}
