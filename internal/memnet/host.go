package memnet

import (
	"sync/atomic"
	"time"
)

// How long a host must be still to have settled, and how long Settle waits.
const (
	settleStill = 20 * time.Millisecond
	settleWait  = time.Second
)

// A Host is a place in a Net where packets enter and leave. It is safe for
// concurrent use.
type Host struct {
	net     *Net
	name    string
	deliver func(pkts [][]byte) int

	tap                     atomic.Pointer[func(sent bool, pkt []byte)]
	divert                  atomic.Pointer[func(pkt []byte) [][]byte]
	sent, received, dropped atomic.Uint64
}

// Counters are the packets of a Host.
type Counters struct {
	Sent     uint64 // into the Net
	Received uint64 // from the Net, Dropped among them
	Dropped  uint64 // not taken by the host: its queue was full, or nobody listened
}

// Name returns the host's name.
func (h *Host) Name() string { return h.name }

// Counters returns how many packets passed so far.
func (h *Host) Counters() Counters {
	return Counters{h.sent.Load(), h.received.Load(), h.dropped.Load()}
}

// Tap calls fn with every packet that the host sends or receives from now on,
// before it goes anywhere, on the goroutine that carries it: concurrently. The
// packet is valid, and unchanged, until fn returns. Nil ends it.
func (h *Host) Tap(fn func(sent bool, pkt []byte)) {
	if fn == nil {
		h.tap.Store(nil)
		return
	}
	h.tap.Store(&fn)
}

// Divert makes the Net carry, for every packet that the host sends from now on,
// what fn returns instead: nothing, itself, its fragments, a changed copy. fn is
// called concurrently and must not keep pkt. Nil ends it.
func (h *Host) Divert(fn func(pkt []byte) [][]byte) {
	if fn == nil {
		h.divert.Store(nil)
		return
	}
	h.divert.Store(&fn)
}

// Send puts packets into the Net, whatever their source. They are the caller's
// again when it returns; it never waits.
func (h *Host) Send(pkts [][]byte) {
	h.sent.Add(uint64(len(pkts)))
	h.show(true, pkts)
	if fn := h.divert.Load(); fn != nil {
		var changed [][]byte
		for _, p := range pkts {
			changed = append(changed, (*fn)(p)...)
		}
		pkts = changed
	}
	h.net.route(pkts)
}

// Settle waits until the host has sent and received nothing for 20 ms, a second
// at most. A netstack must not be closed before: its Close panics under a packet
// that one of its TCP connections still sends. A nil Host has settled.
func (h *Host) Settle() {
	if h == nil {
		return
	}
	deadline := time.Now().Add(settleWait)
	for before := h.Counters(); time.Now().Before(deadline); {
		time.Sleep(settleStill)
		now := h.Counters()
		if now == before {
			return
		}
		before = now
	}
}

func (h *Host) receive(pkts [][]byte) {
	h.received.Add(uint64(len(pkts)))
	h.show(false, pkts)
	if took := h.deliver(pkts); took < len(pkts) {
		h.dropped.Add(uint64(len(pkts) - took))
	}
}

func (h *Host) show(sent bool, pkts [][]byte) {
	fn := h.tap.Load()
	if fn == nil {
		return
	}
	for _, p := range pkts {
		(*fn)(sent, p)
	}
}
