//go:build unix && !linux && !darwin && !freebsd

package sock

import (
	"errors"
	"net"
)

// peerUID fails, so every peer is refused.
func peerUID(*net.UnixConn) (int, error) { return 0, errors.ErrUnsupported }
