package router

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/device"
)

// wireguard-go bounds nothing between its seams, and what piles up there is
// cold memory: the largest cost after cryptography. So the number of packets
// inside a device is bounded from outside, per direction: a packet gets a
// sequence number at the seam where it enters, which travels with it in the
// last bytes of wireguard-go's 64 KiB array (whose full capacity both seams
// see), and is read where it leaves. In flight = newest in - newest out: what
// dies inside is forgotten as soon as a later packet comes out. Inbound, where a
// stranger's garbage dies, the number is also read from buffers that are free
// again.

// trailer is the space of a sequence number at the end of an array.
const trailer = 8

// maxPacket is the largest packet that leaves the trailer alone: 16 bytes
// before it, 16 of padding and 16 of tag behind it.
const maxPacket = device.MaxMessageSize - trailer - 48

// windowSize is the number of packets that may be inside a device, per
// direction and, outbound, per peer: a batch on two processors. Twice as many
// cost more of the processor and bring nothing (docs/performance.md). A carried
// hop gets a quarter of that: what waits in all the hops of a chain shares the
// caches.
func windowSize(carried bool) uint64 {
	size := min(max(32*(runtime.GOMAXPROCS(0)+2), 128), 2048)
	if carried {
		size /= 4
	}
	return uint64(size)
}

// stamp writes seq at the end of the array that b is a part of.
func stamp(b []byte, seq uint64) {
	if c := cap(b); c >= device.MaxMessageSize {
		binary.LittleEndian.PutUint64(b[:c][c-trailer:], seq)
	}
}

// stamped returns the sequence number in b's array, where b can have one.
func stamped(b []byte) (uint64, bool) {
	c := cap(b)
	if c < device.MaxMessageSize {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[:c][c-trailer:]), true
}

// isData reports whether b is a transport message that carries a packet: type
// 4, and longer than a keepalive.
func isData(b []byte) bool {
	return len(b) > device.MessageKeepaliveSize && b[0] == device.MessageTransportType
}

// A flight counts the packets of one stream inside a device.
type flight struct {
	in, out atomic.Uint64 // sequence numbers of the newest that entered, left
	moved   atomic.Int64  // when one left last, or the flight was emptied: nanoseconds of clock
	begun   atomic.Uint64 // outbound: calls of the transport's Send
	ended   atomic.Uint64 // and how many of them returned
	stale   atomic.Uint64 // outbound: up to this sequence number, what comes out is dropped
	flush   func()        // outbound: drops the packets that wait for a session

	// Only for the reader of the port: whether it waits for room, and its
	// time-outs since moved was seen.
	held     bool
	timeouts int
	seen     int64
}

// reopen is how much room a window that was full must have before more goes in:
// packet by packet, batches would shrink to one packet and stay so (the silly
// window syndrome of RFC 813).
func reopen(size uint64) uint64 { return size / 4 }

// room returns how many packets may still go in after the newest.
func (f *flight) room(newest, size uint64) uint64 {
	if n := newest - f.out.Load(); n < size {
		return size - n
	}
	return 0
}

// closed reports whether a packet after the newest should wait. Only for the reader
// of the port.
func (f *flight) closed(newest, size uint64) bool {
	room := f.room(newest, size)
	f.held = room == 0 || f.held && room < reopen(size)
	return f.held
}

func (f *flight) full(size uint64) bool { return f.room(f.in.Load(), size) == 0 }

// A burst numbers packets that enter one flight together. They count as inside only
// when it is published: an atomic store for each would wait until the packet that
// was just copied has reached the cache.
type burst struct {
	flight *flight
	newest uint64
}

// of makes b a burst of f; of another flight's, it publishes what there is.
func (b *burst) of(f *flight) {
	if f != b.flight {
		b.publish()
		b.flight, b.newest = f, f.in.Load()
	}
}

func (b *burst) publish() {
	if b.flight != nil && b.newest != b.flight.in.Load() {
		b.flight.in.Store(b.newest)
	}
}

// leave notes that seq has come out. A number that never went in is garbage
// and not believed.
func (f *flight) leave(seq uint64) {
	for {
		out := f.out.Load()
		if seq <= out || seq > f.in.Load() || f.out.CompareAndSwap(out, seq) {
			return
		}
	}
}

// sending reports whether a call of the transport's Send is under way.
func (f *flight) sending() bool { return f.begun.Load() != f.ended.Load() }

// expire makes what is inside stale: it must not leave any more.
func (f *flight) expire() {
	for newest := f.in.Load(); ; {
		old := f.stale.Load()
		if newest <= old || f.stale.CompareAndSwap(old, newest) {
			return
		}
	}
}

// empty forgets what is inside.
func (f *flight) empty(now int64) {
	f.leave(f.in.Load())
	f.moved.Store(now)
}

// clock is a monotonic time in nanoseconds.
func (r *Router) clock() int64 { return int64(time.Since(r.born)) }

// A gate lets goroutines wait for a flight to move. It holds at most one
// token; one that waits and is let through passes it on.
type gate struct {
	token   chan struct{}
	waiting atomic.Int32
}

func newGate() gate { return gate{token: make(chan struct{}, 1)} }

// open wakes one waiter, if there is any.
func (g *gate) open() {
	if g.waiting.Load() > 0 {
		select {
		case g.token <- struct{}{}:
		default:
		}
	}
}
