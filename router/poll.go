package router

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// A poll is what a device said when it was last asked. Immutable.
type poll struct {
	at    int64 // Router.clock
	peers map[Key]polledPeer
}

// A polledPeer is what only the device knows of a peer.
type polledPeer struct {
	endpoint  string
	handshake time.Time
	rx, tx    uint64
}

// poll asks a hop's device, which may have to wait for its locks: each hop is
// asked by a goroutine of its own, one at a time, that ends at the latest when
// the hop is released.
func (r *Router) poll(h *hop) {
	p := h.port.Load()
	if p == nil || !h.asking.CompareAndSwap(false, true) {
		return
	}
	r.goroutines.Add(1)
	go func() {
		defer r.goroutines.Done()
		defer h.asking.Store(false)
		sets := h.setsOf()
		var b bytes.Buffer
		if p.dev.IpcGetOperation(&b) != nil {
			return // only writing to b can fail, and it cannot
		}
		answered := time.Unix(0, p.seeker.answered.Load())
		next := &poll{at: r.clock(), peers: parsePeers(&b)}
		old := h.polled.Swap(next)
		h.notice(next.peers, sets)
		for key, peer := range next.peers {
			if peer.spokeSince(old.peer(key), answered) {
				h.hears.Store(next.at)
			}
			if peer.handshake.IsZero() {
				continue
			}
			if old.peer(key).handshake.Before(peer.handshake) {
				r.emit(Event{Hop: h.name, Kind: EventHandshake})
				r.hastenNames(h)
			}
		}
	}()
}

// spokeSince reports whether the peer has said anything since was that shows that
// it hears us, too: a handshake was completed, or data came. But a peer that nothing
// reaches begins a handshake every 5 s, and what is behind it goes on sending: after
// an answer of ours that did not complete one, data shows nothing. answered is when
// that answer was sent.
func (p polledPeer) spokeSince(was polledPeer, answered time.Time) bool {
	if p.handshake.After(was.handshake) {
		return true
	}
	return p.rx != was.rx && p.rx != 0 && !answered.After(p.handshake)
}

// peer returns what is known of a peer; a nil poll knows nothing.
func (p *poll) peer(key Key) polledPeer {
	if p == nil {
		return polledPeer{}
	}
	return p.peers[key]
}

// parsePeers reads the peers of a UAPI "get". What the device holds secret is
// not kept.
func parsePeers(b *bytes.Buffer) map[Key]polledPeer {
	peers := make(map[Key]polledPeer)
	var key Key
	var cur polledPeer
	var sec int64
	lines := bufio.NewScanner(b)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch name {
		case "public_key":
			if _, err := hex.Decode(key[:], []byte(value)); err != nil {
				return peers
			}
			cur = polledPeer{}
		case "endpoint":
			cur.endpoint = value
		case "last_handshake_time_sec":
			sec, _ = strconv.ParseInt(value, 10, 64)
		case "last_handshake_time_nsec":
			if nsec, _ := strconv.ParseInt(value, 10, 64); sec != 0 || nsec != 0 {
				cur.handshake = time.Unix(sec, nsec)
			}
		case "rx_bytes":
			cur.rx, _ = strconv.ParseUint(value, 10, 64)
		case "tx_bytes":
			cur.tx, _ = strconv.ParseUint(value, 10, 64)
		default:
			continue
		}
		if !key.IsZero() {
			peers[key] = cur
		}
	}
	return peers
}

// hadSession reports whether the hop ever had a session with that peer.
func (h *hop) hadSession(peer Key) bool {
	p := h.polled.Load()
	return p != nil && !p.peers[peer].handshake.IsZero()
}
