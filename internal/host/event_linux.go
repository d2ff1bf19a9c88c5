package host

import (
	"encoding/binary"
	"errors"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// maxEvents bounds what is kept of a burst of changes; of a larger one it is
// only known that there was one.
const maxEvents = 4096

// event is one change of the host's network.
type event struct {
	what      uint16 // RTM_...
	hostRoute        // of an address or link, the index alone; of a rule, proto alone
}

// groups are the changes that are told.
func groups() []uint {
	return []uint{
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
	}
}

// events collects what a namespace's network tells.
type events struct {
	ready chan struct{} // has a token when there are some

	mu       sync.Mutex
	pending  []event
	overflow bool // and more
}

// newEvents returns events that begin as after an overflow: nobody knows what
// happened before.
func newEvents() *events {
	e := &events{ready: make(chan struct{}, 1), overflow: true}
	e.ready <- struct{}{}
	return e
}

// take returns what was collected.
func (e *events) take() (pending []event, overflow bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	pending, overflow = e.pending, e.overflow
	e.pending, e.overflow = nil, false
	return pending, overflow
}

// receive collects from s until it is closed.
func (e *events) receive(s *nl.NetlinkSocket) error {
	for {
		messages, _, err := s.Receive()
		// ENOBUFS: more changes than the socket holds.
		lost := errors.Is(err, unix.ENOBUFS)
		if err != nil && !lost {
			return err
		}
		e.mu.Lock()
		for _, m := range messages {
			if ev, ok := parseEvent(m); ok && len(e.pending) < maxEvents {
				e.pending = append(e.pending, ev)
			} else if ok {
				lost = true
			}
		}
		e.overflow = e.overflow || lost
		some := e.overflow || len(e.pending) > 0
		e.mu.Unlock()
		if some {
			select {
			case e.ready <- struct{}{}:
			default:
			}
		}
	}
}

// parseEvent reads a message of NETLINK_ROUTE. It reports false for what does not
// matter: cached routes, and those that come and go with addresses.
func parseEvent(m syscall.NetlinkMessage) (event, bool) {
	e := event{what: m.Header.Type}
	b := m.Data
	switch e.what {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if len(b) < unix.SizeofIfAddrmsg { // begins as an Ifinfomsg does, as to the index
			return e, false
		}
		e.index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		if len(b) < unix.SizeofRtMsg {
			return e, false
		}
		eachAttr(b[unix.SizeofRtMsg:], func(kind uint16, v []byte) {
			if kind == nl.FRA_PROTOCOL && len(v) > 0 {
				e.proto = v[0]
			}
		})
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		r, ok := parseRoute(b)
		e.hostRoute = r
		return e, ok && !r.cached && r.table != unix.RT_TABLE_LOCAL
	default:
		return e, false
	}
	return e, true
}
