package router

import (
	"time"

	"multihop/internal/queue"
	"multihop/packet"
)

// Packets that the router makes itself, all of them ICMP errors towards the
// TUN, go through a queue that drops, with a writer of its own: the TUN reader
// never writes, or a TUN whose reads and writes wait for each other would
// deadlock.
const (
	synthSlots = 64
	synthSize  = 1280
)

// ICMP errors are limited as Linux limits them, by a token bucket.
const (
	icmpPerSecond = 1000
	icmpBurst     = 50
)

// A bucket is a token bucket. For one goroutine.
type bucket struct {
	tokens float64
	last   int64 // Router.clock; 0: never used
}

// take takes a token, if there is one.
func (b *bucket) take(now int64) bool {
	if b.last == 0 {
		b.tokens = icmpBurst
	} else {
		b.tokens = min(icmpBurst, b.tokens+float64(now-b.last)*icmpPerSecond/float64(time.Second))
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// answer queues an ICMP error about pkt, a packet from the TUN. The drop that
// it reports is counted by the caller, whether or not the error gets through.
func (r *Router) answer(pkt []byte, m *packet.Meta, kind packet.ICMPKind, mtu int) {
	if !r.icmp.take(r.clock()) {
		return
	}
	v := r.synth.Reserve(&r.synthFrom, 1)
	n := 0
	if v.N > 0 {
		s := v.Slot(0)
		if n = packet.PutICMPError(s.SetSize(readOffset + synthSize)[readOffset:], pkt, m, kind, mtu); n > 0 {
			s.SetSize(readOffset + n)
			n = 1
		}
	}
	v.Commit(n)
}

// writeSynth writes what answer queued to the TUN, until the router closes.
func (r *Router) writeSynth() {
	defer r.goroutines.Done()
	bufs := make([][]byte, 0, synthSlots)
	store := make([][]byte, synthSlots)
	for i := range store {
		store[i] = make([]byte, 65536) // room for what a TUN appends when it coalesces
	}
	for {
		v := r.synth.Peek(synthSlots)
		if v.N == 0 {
			select {
			case <-r.synth.Ready():
				continue
			case <-r.closing:
				return
			}
		}
		bufs = bufs[:0]
		for i := range v.N {
			bufs = append(bufs, store[i][:copy(store[i], v.Slot(i).Packet)])
		}
		v.Release(v.N)
		if why := r.writeTUN(bufs, readOffset); why != delivered {
			r.drops.add(why, len(bufs))
		}
	}
}

// newSynth returns the queue of answer and writeSynth.
func newSynth() *queue.Ring[struct{}] { return queue.New[struct{}](synthSlots, 0) }
