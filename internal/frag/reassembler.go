package frag

import (
	"sync"
	"time"

	"multihop/packet"
)

// Options bound a Reassembler. Zero fields mean the defaults.
type Options struct {
	MaxDatagrams int           // unfinished packets: 256
	MaxBytes     int           // of all buffers, idle ones too, without those given out: 4 MiB; the longest packets take 72 KiB
	Timeout      time.Duration // from a packet's first fragment to come to its last: 30 s
}

// A Reassembler puts fragmented packets together again. Make one with
// NewReassembler. It is safe for concurrent use.
type Reassembler struct {
	maxDatagrams int
	timeout      int64

	mu      sync.Mutex
	open    map[key]*datagram
	oldest  *datagram // by birth, to newest
	newest  *datagram
	idle    *datagram // for reuse, linked by newer
	buffers buffers

	in, joined, wholes uint64
	held               int // fragments
	drops              [verdicts]uint64
}

// NewReassembler returns a Reassembler with the bounds that o names; nil means
// the defaults.
func NewReassembler(o *Options) *Reassembler {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.MaxDatagrams == 0 {
		opts.MaxDatagrams = 256
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = 4 << 20
	}
	if opts.Timeout == 0 {
		opts.Timeout = 30 * time.Second
	}
	return &Reassembler{
		maxDatagrams: opts.MaxDatagrams,
		timeout:      int64(opts.Timeout),
		open:         make(map[key]*datagram, opts.MaxDatagrams),
		buffers:      buffers{max: opts.MaxBytes},
	}
}

// Add takes the fragment pkt, which it copies. m is what Parse found in it,
// with the verdict OK; m.IsFragment() holds. now is a monotonic time in
// nanoseconds.
//
// If the fragment completes a packet, Add returns Whole and the packet: the
// first fragment's header, its lengths, its fragment fields and IPv4's checksum
// set as if nothing had been cut, IPv6's fragment header removed. The packet is
// the caller's, who may give its memory back with Release. Upper-layer
// checksums are not verified.
//
// Overlap, TooBig, Full, and Malformed for a length that contradicts, discard
// the whole packet; until its timeout, more of it is dropped under the same
// name.
func (r *Reassembler) Add(pkt []byte, m *packet.Meta, now int64) (whole []byte, v Verdict) {
	var p piece
	v = p.parse(pkt, m)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.in++
	r.expireLocked(now)
	if v == Held {
		whole, v = r.addLocked(&p, now)
	}
	if v != Held && v != Whole {
		r.drops[v]++
	}
	return whole, v
}

func (r *Reassembler) addLocked(p *piece, now int64) ([]byte, Verdict) {
	d := r.open[p.key]
	if d == nil {
		d = r.startLocked(&p.key, now)
	}
	if d.dropped != Held {
		return nil, d.dropped
	}
	v := d.judge(p)
	if v == Held && !r.fitLocked(d, d.headWith(p)+max(d.end, p.end())) {
		v = Full
	}
	switch v {
	case Held:
	case Duplicate:
		return nil, Duplicate
	default:
		r.discardLocked(d, v)
		return nil, v
	}

	d.put(p)
	r.held++
	if !d.complete() {
		return nil, Held
	}
	whole := d.whole()
	r.buffers.forget(d.buf)
	r.held -= d.n
	r.joined += uint64(d.n)
	r.wholes++
	d.buf, d.n = nil, 0
	r.removeLocked(d, Held)
	return whole, Whole
}

// Release takes back a packet that Add returned, as it was returned, for
// reuse. The caller must not use it afterwards.
func (r *Reassembler) Release(whole []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buffers.keep(whole)
}

// Expire drops what is too old at the time now, as Add does by itself. It is
// for the time when no fragments come.
func (r *Reassembler) Expire(now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expireLocked(now)
}

func (r *Reassembler) expireLocked(now int64) {
	for r.oldest != nil && now-r.oldest.born >= r.timeout {
		r.removeLocked(r.oldest, Timeout)
	}
}

// startLocked makes an empty datagram, in the place of the oldest if there are
// too many.
func (r *Reassembler) startLocked(k *key, now int64) *datagram {
	if len(r.open) >= r.maxDatagrams {
		r.removeLocked(r.oldest, Full)
	}
	d := r.idle
	if d == nil {
		d = new(datagram)
	} else {
		r.idle = d.newer
	}
	*d = datagram{key: *k, born: now, older: r.newest}
	if r.newest != nil {
		r.newest.newer = d
	} else {
		r.oldest = d
	}
	r.newest = d
	r.open[*k] = d
	return d
}

// fitLocked makes d.buf hold n bytes, with what it has. Other datagrams, the
// oldest first, make room. It reports false if that is not enough.
func (r *Reassembler) fitLocked(d *datagram, n int) bool {
	if n <= len(d.buf) {
		return true
	}
	c := classFor(n)
	buf := r.buffers.get(c)
	for buf == nil {
		victim := r.oldest
		if victim == d {
			victim = d.newer
		}
		if victim == nil {
			return false
		}
		r.removeLocked(victim, Full)
		buf = r.buffers.get(c)
	}
	copy(buf, d.buf[:d.head+d.end])
	r.freeLocked(d)
	d.buf = buf
	return true
}

// discardLocked drops the fragments that d holds, and all that will come.
func (r *Reassembler) discardLocked(d *datagram, why Verdict) {
	r.freeLocked(d)
	r.drops[why] += uint64(d.n)
	r.held -= d.n
	d.n = 0
	d.dropped = why
}

// removeLocked discards what d holds, and forgets it.
func (r *Reassembler) removeLocked(d *datagram, why Verdict) {
	r.discardLocked(d, why)
	delete(r.open, d.key)
	if d.older != nil {
		d.older.newer = d.newer
	} else {
		r.oldest = d.newer
	}
	if d.newer != nil {
		d.newer.older = d.older
	} else {
		r.newest = d.older
	}
	d.newer = r.idle
	r.idle = d
}

// freeLocked takes d's buffer back.
func (r *Reassembler) freeLocked(d *datagram) {
	if d.buf != nil {
		r.buffers.forget(d.buf)
		r.buffers.keep(d.buf)
		d.buf = nil
	}
}
