package lookup

import (
	"os"

	"golang.org/x/sys/unix"
)

// setMark gives the packets of a socket the firewall mark.
func setMark(fd uintptr, mark uint32) error {
	return os.NewSyscallError("setsockopt SO_MARK", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark)))
}
