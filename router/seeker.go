package router

import (
	"sync/atomic"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
)

// A seeker is the transport of a hop whose peers' names may have new addresses:
// it sends handshake initiations to those as well. The first authenticated
// answer, from wherever it comes, makes wireguard-go roam there.
type seeker struct {
	conn.Bind
	more atomic.Pointer[map[string][]conn.Endpoint] // by the address that the device uses, as in UAPI; nil: none
}

// Send implements conn.Bind.
func (s *seeker) Send(bufs [][]byte, ep conn.Endpoint) error {
	if more := s.more.Load(); more != nil && len(bufs) == 1 && isInitiation(bufs[0]) {
		for _, other := range (*more)[ep.DstToString()] {
			_ = s.Bind.Send(bufs, other) // what becomes of the first counts
		}
	}
	return s.Bind.Send(bufs, ep)
}

func isInitiation(b []byte) bool {
	return len(b) == device.MessageInitiationSize && b[0] == device.MessageInitiationType
}
