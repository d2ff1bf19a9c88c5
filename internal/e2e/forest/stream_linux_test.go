package forest_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

const (
	streamPort = 7000
	pace       = 20 * time.Millisecond // between two datagrams of a stream
)

// A recorder is what the core saw of streams.
type recorder struct {
	mu   sync.Mutex
	seen map[uint32][]arrival // by the stream's id, in order
}

// An arrival is a datagram of a stream at the core.
type arrival struct {
	seq  uint32
	from netip.Addr
	at   time.Time
}

// record makes the core note each datagram of a stream, and answer it.
func (g *grove) record(t *testing.T) *recorder {
	r := &recorder{seen: make(map[uint32][]arrival)}
	g.core.ServeUDP(t, streamPort, func(b []byte, from netip.AddrPort) []byte {
		if len(b) < 8 {
			return nil
		}
		id := binary.BigEndian.Uint32(b)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen[id] = append(r.seen[id], arrival{binary.BigEndian.Uint32(b[4:]), from.Addr(), time.Now()})
		return b
	})
	return r
}

// A stream is numbered datagrams from the client to a site, at a steady pace.
type stream struct {
	id   uint32
	to   netip.Addr
	r    *recorder
	conn net.Conn
	stop chan struct{}
	done chan struct{}
	sent uint32 // once done
}

// stream starts one, which ends with the test, or before by end.
func (g *grove) stream(t *testing.T, r *recorder, id uint32, to netip.Addr) *stream {
	t.Helper()
	s := &stream{id: id, to: to, r: r, stop: make(chan struct{}), done: make(chan struct{})}
	err := g.client.Do(func() (err error) {
		s.conn, err = net.Dial("udp", netip.AddrPortFrom(to, streamPort).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	go s.run()
	t.Cleanup(s.end)
	return s
}

func (s *stream) run() {
	defer close(s.done)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		b := make([]byte, 200)
		binary.BigEndian.PutUint32(b, s.id)
		binary.BigEndian.PutUint32(b[4:], s.sent)
		_, _ = s.conn.Write(b) // refused: lost
		s.sent++
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
	}
}

// end stops the stream and waits for its last datagrams. It is idempotent.
func (s *stream) end() {
	select {
	case <-s.stop:
		return
	default:
	}
	close(s.stop)
	<-s.done
	_ = s.conn.Close()
}

// arrivals returns those so far, in order.
func (s *stream) arrivals() []arrival {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	return s.r.seen[s.id][:len(s.r.seen[s.id]):len(s.r.seen[s.id])]
}

// from waits until a datagram that was sent from now on arrives from the address.
func (s *stream) from(want netip.Addr, timeout time.Duration) bool {
	first := len(s.arrivals())
	for end := time.Now().Add(timeout); time.Now().Before(end); time.Sleep(pace) {
		for _, a := range s.arrivals()[first:] {
			if a.from == want {
				return true
			}
		}
	}
	return false
}

// whole reports, as an error, if what was sent did not arrive whole, once each, in
// order and from that address. The stream has ended.
func (s *stream) whole(from netip.Addr) error {
	deadline := time.Now().Add(2 * time.Second)
	for len(s.arrivals()) < int(s.sent) && time.Now().Before(deadline) {
		time.Sleep(pace)
	}
	all := s.arrivals()
	for i, a := range all {
		if a.seq != uint32(i) || a.from != from {
			return fmt.Errorf("stream to %v: arrival %d of %d sent is number %d from %v", s.to, i, s.sent, a.seq, a.from)
		}
	}
	if len(all) != int(s.sent) {
		return fmt.Errorf("stream to %v: %d of %d arrived", s.to, len(all), s.sent)
	}
	return nil
}

// gap returns how long nothing arrived from the time on, at most, and how many
// datagrams did not arrive at all. The stream has ended.
func (s *stream) gap(since time.Time) (silent time.Duration, lost int) {
	all := s.arrivals()
	seen := make(map[uint32]struct{}, len(all))
	last := since
	for _, a := range all {
		seen[a.seq] = struct{}{}
		if a.at.After(since) {
			silent = max(silent, a.at.Sub(last))
			last = a.at
		}
	}
	return silent, int(s.sent) - len(seen)
}

// answered waits until a site answers from the address given: for the first
// packets, which wait for handshakes.
func (g *grove) answered(t *testing.T, to, from netip.Addr) {
	t.Helper()
	if seen, err := g.client.Echo(to, 100, patience); err != nil || seen.Addr() != from {
		t.Fatalf("%v saw %v, %v; want %v", to, seen, err, from)
	}
}

// cut makes the relays' host drop what is sent to a relay, without a word, or no
// longer.
func (g *grove) cut(t *testing.T, r *relay, dead bool) {
	t.Helper()
	verb := "delete"
	if dead {
		verb = "add"
	}
	rules := "table inet cut { set dead { type inet_service; }; chain in { type filter hook input priority 0; udp dport @dead drop; }; }; "
	if out, err := run(g.relays, g.nft, fmt.Sprintf("%s%s element inet cut dead { %d }", rules, verb, r.port())); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
