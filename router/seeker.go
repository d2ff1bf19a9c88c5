package router

import (
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
)

// A seeker is the transport of a hop whose peers' names may have new addresses:
// it sends handshake initiations to those as well. The first authenticated
// answer, from wherever it comes, makes wireguard-go roam there.
//
// It also notes when handshakes began: ours, and those of a peer, of which the device
// answers only what authenticates.
type seeker struct {
	conn.Bind
	more     atomic.Pointer[map[string][]conn.Endpoint] // by the address that the device uses, as in UAPI; nil: none
	asked    atomic.Int64                               // unix nanoseconds of our last initiation; 0: none
	answered atomic.Int64                               // likewise of the last answer to a peer's
}

// Send implements conn.Bind.
func (s *seeker) Send(bufs [][]byte, ep conn.Endpoint) error {
	if len(bufs) == 1 {
		switch {
		case isInitiation(bufs[0]):
			s.asked.Store(time.Now().UnixNano())
		case isResponse(bufs[0]):
			s.answered.Store(time.Now().UnixNano())
		}
	}
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

func isResponse(b []byte) bool {
	return len(b) == device.MessageResponseSize && b[0] == device.MessageResponseType
}
