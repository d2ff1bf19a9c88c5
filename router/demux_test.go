package router

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"multihop/internal/frag"
	"multihop/internal/queue"
	"multihop/packet"
)

var (
	nearNet6  = netip.MustParsePrefix("2001:db8:e::/48") // through the entry
	exitAddr6 = netip.MustParseAddr("2001:db8:f0::20")
)

// A demux is an entry that carries an exit's link, and what came out of its
// port for the host and for the link.
type demux struct {
	*bench
	host     [][]byte // written to the TUN
	payloads [][]byte // received by the link,
	from     []netip.AddrPort
	rx       [][]byte
	lens     []int
	link6    netip.AddrPort
}

func newDemux(tb testing.TB) *demux {
	d := &demux{bench: newBench(tb), rx: arrays(4), lens: make([]int, 4)}
	d.entry.hop.far.Store(&map[netip.Addr]bool{exitAddr: true, exitAddr6: true})
	must(tb, d.exit.link.Close())
	_, port, err := d.exit.link.Open(20001) // inputs name it
	must(tb, err)
	d.linkAddr = netip.AddrPortFrom(d.entry.hop.addr4, port)
	d.link6 = netip.AddrPortFrom(d.entry.hop.addr6, port)
	d.r.tun.Store(&tunSet{dev: &recordTUN{d: d}, name: "record"})
	return d
}

// A recordTUN keeps what is written to it.
type recordTUN struct {
	sinkTUN
	d *demux
}

func (r *recordTUN) Write(bufs [][]byte, offset int) (int, error) {
	for _, b := range bufs {
		r.d.host = append(r.d.host, bytes.Clone(b[offset:]))
	}
	return len(bufs), nil
}

// take gives the entry's port one decrypted packet, and collects what follows.
func (d *demux) take(tb testing.TB, pkt []byte) {
	d.host, d.payloads, d.from = d.host[:0], d.payloads[:0], d.from[:0]
	_, err := d.entry.Write(d.inbound([][]byte{pkt}), wgOffset)
	must(tb, err)
	s := d.exit.link.cur.Load()
	for s.rx.Len() > 0 {
		n, err := s.receive(d.rx, d.lens, func(_ int, a netip.AddrPort) { d.from = append(d.from, a) })
		must(tb, err)
		for i := range n {
			d.payloads = append(d.payloads, bytes.Clone(d.rx[i][:d.lens[i]]))
		}
	}
}

// outcomes counts packets that were delivered or dropped under a name, and
// those that the reassembler has taken and not given back whole.
func (d *demux) outcomes() uint64 {
	h := d.entry.hop
	n := h.in.Load() + h.carried.Load()
	for i := range h.drops {
		n += h.drops[i].Load()
	}
	s := h.pieces.Load().Stats()
	return n + s.In - s.Wholes
}

// A plain packet is what a reader sees who knows fixed headers only.
type plain struct {
	proto    byte
	src, dst netip.Addr
	fragment bool
	later    bool   // a fragment, and not the first
	exact    bool   // nothing lies between the IP header and data, but perhaps options
	simple   bool   // not even options
	data     []byte // upper layer
}

func readPlain(b []byte) (p plain, ok bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if head < 20 || total < head || total > len(b) {
			return p, false
		}
		p.src, p.dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
		p.proto, p.data = b[9], b[head:total]
		p.fragment, p.later = binary.BigEndian.Uint16(b[6:])&0x3fff != 0, binary.BigEndian.Uint16(b[6:])&0x1fff != 0
		p.exact, p.simple = true, head == 20
	case len(b) >= 40 && b[0]>>4 == 6:
		total := 40 + int(binary.BigEndian.Uint16(b[4:]))
		if total > len(b) {
			return p, false
		}
		p.src, p.dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		p.proto, p.data = b[6], b[40:total]
		p.exact = !slices.Contains([]byte{0, 43, 44, 51, 60, 135, 139, 140}, p.proto)
		p.simple = p.exact
	default:
		return p, false
	}
	return p, true
}

// udp splits a datagram.
func (p *plain) udp() (from, to netip.AddrPort, payload []byte, ok bool) {
	b := p.data
	if p.proto != 17 || len(b) < 8 {
		return from, to, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < 8 || n > len(b) {
		return from, to, nil, false
	}
	return netip.AddrPortFrom(p.src, binary.BigEndian.Uint16(b)), netip.AddrPortFrom(p.dst, binary.BigEndian.Uint16(b[2:])), b[8:n], true
}

// FuzzDemux gives the port of a carrier the packets of a stream, each behind its
// length in 16 bits. A link gets exactly the datagrams for its address and port,
// whoever sent them; the host gets nothing of these, and only what may come
// through this hop; all else is dropped under a name.
func FuzzDemux(f *testing.F) {
	d := newDemux(f)
	stream := func(pkts ...[]byte) []byte {
		var b []byte
		for _, p := range pkts {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
		}
		return b
	}
	exit := netip.AddrPortFrom(exitAddr, 51820)
	near, far := netip.AddrPortFrom(nearNet.Addr().Next(), 7), netip.AddrPortFrom(farNet.Addr().Next(), 7)
	near6 := netip.AddrPortFrom(nearNet6.Addr().Next(), 7)
	port4, port6 := netip.AddrPortFrom(d.entry.hop.addr4, 4000), netip.AddrPortFrom(d.entry.hop.addr6, 4000)
	mine := udp(exit, d.linkAddr, []byte("for the link"))
	f.Add(stream(mine, udp(far, d.linkAddr, []byte("a stranger's"))))
	f.Add(stream(udp(netip.AddrPortFrom(exitAddr6, 51820), d.link6, []byte("for the link"))))
	f.Add(stream(udp(near, port4, []byte("for the host")), udp(far, port4, []byte("forged"))))
	f.Add(stream(udp(near6, port6, []byte("for the host")), udp(near6, d.link6, nil)))
	f.Add(stream(echoReply(near.Addr(), port4.Addr()), icmpError(far.Addr(), port4, near)))
	f.Add(stream(icmpError(far.Addr(), d.linkAddr, exit)))
	for _, from := range []netip.AddrPort{exit, far} {
		long := udp(from, d.linkAddr, bytes.Repeat([]byte("long"), 30))
		pieces := cut(f, long, 100)
		f.Add(stream(pieces...))
		f.Add(stream(pieces[1], mine, pieces[0]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d.entry.hop.pieces.Load().Stats().In > 0 {
			d.entry.hop.pieces.Store(frag.NewReassembler(nil))
		}
		for n := 0; n < 4 && len(b) > 2; n++ {
			size := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			d.check(t, b[2:2+size])
			b = b[2+size:]
		}
	})
}

// check takes one packet and compares.
func (d *demux) check(t *testing.T, pkt []byte) {
	before := d.outcomes()
	d.take(t, bytes.Clone(pkt))
	if n := d.outcomes() - before; n != 1 {
		t.Fatalf("%d outcomes of % x", n, pkt)
	}
	if len(d.payloads)+len(d.host) > 1 {
		t.Fatalf("%d payloads and %d packets of % x", len(d.payloads), len(d.host), pkt)
	}
	p, ok := readPlain(pkt)
	from, to, payload, isUDP := p.udp()
	forLink := ok && isUDP && p.exact && !p.fragment && (to == d.linkAddr || to == d.link6)
	most := d.exit.link.cur.Load().most()
	if forLink && p.simple && len(payload) <= most && len(d.payloads) != 1 {
		t.Fatalf("the link did not get % x", pkt)
	}
	for i, got := range d.payloads {
		switch {
		case forLink && (!bytes.Equal(got, payload) || d.from[i] != from):
			t.Fatalf("the link got % x from %v, want % x from %v", got, d.from[i], payload, from)
		case !forLink && ok && p.exact && !p.fragment:
			t.Fatalf("the link got what is not for it: % x", pkt)
		case ok && p.fragment && d.from[i].Addr() != exitAddr:
			t.Fatalf("fragments of %v reached the link", d.from[i])
		}
	}
	for _, out := range d.host {
		if forLink {
			t.Fatalf("the host got the link's datagram % x", pkt)
		}
		d.checkHost(t, out)
	}
}

// checkHost checks what was written to the TUN.
func (d *demux) checkHost(t *testing.T, out []byte) {
	p, ok := readPlain(out)
	tab := d.r.table.Load()
	if !ok || p.dst != tab.tun4 && p.dst != tab.tun6 {
		t.Fatalf("to the host: % x", out)
	}
	mine := func(a netip.Addr) bool { return nearNet.Contains(a) || nearNet6.Contains(a) }
	isError := p.src.Is4() && p.proto == 1 && !p.later && len(p.data) > 0 && slices.Contains([]byte{3, 11, 12}, p.data[0]) ||
		p.src.Is6() && p.proto == 58 && len(p.data) > 0 && p.data[0] >= 1 && p.data[0] <= 4
	switch {
	case p.exact && isError: // by any router, but none that is another hop's
		quote, ok := readQuote(p.data[8:])
		if !ok || !mine(quote.dst) || farNet.Contains(p.src) || p.src.IsLoopback() || tab.own[p.src] {
			t.Fatalf("an error to the host: % x", out)
		}
	case p.exact && !mine(p.src):
		t.Fatalf("forged: % x", out)
	case !mine(p.src) && (farNet.Contains(p.src) || tab.own[p.src]):
		t.Fatalf("forged, behind extension headers: % x", out)
	}
}

// readQuote reads the addresses of a quoted packet, which may be cut off.
func readQuote(b []byte) (p plain, ok bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		return plain{src: netip.AddrFrom4([4]byte(b[12:])), dst: netip.AddrFrom4([4]byte(b[16:]))}, true
	case len(b) >= 40 && b[0]>>4 == 6:
		return plain{src: netip.AddrFrom16([16]byte(b[8:])), dst: netip.AddrFrom16([16]byte(b[24:]))}, true
	}
	return p, false
}

// cut splits an IPv4 packet, whatever it says of that.
func cut(tb testing.TB, pkt []byte, mtu int) [][]byte {
	tb.Helper()
	pkt[6], pkt[10], pkt[11] = 0, 0, 0 // no DF
	binary.BigEndian.PutUint16(pkt[10:], ^packet.Fold(packet.Sum(pkt[:20], 0)))
	var m packet.Meta
	if v := m.Parse(pkt); v != packet.OK {
		tb.Fatal(v)
	}
	pieces := make([][]byte, 8)
	for i := range pieces {
		pieces[i] = make([]byte, mtu)
	}
	n, ok := frag.Split4(pieces, pkt, &m, mtu)
	if !ok {
		tb.Fatal("it must not be cut")
	}
	return pieces[:n]
}

// The detectors of FuzzDemux: what it watches does come out of the port.
func TestDemux(t *testing.T) {
	d := newDemux(t)
	exit := netip.AddrPortFrom(exitAddr, 51820)
	near := netip.AddrPortFrom(nearNet.Addr().Next(), 7)
	port := netip.AddrPortFrom(d.entry.hop.addr4, 4000)
	long := bytes.Repeat([]byte("long"), 30)
	for _, tt := range []struct {
		name       string
		pkts       [][]byte
		link, host int
	}{
		{"the link's datagram", [][]byte{udp(exit, d.linkAddr, long)}, 1, 0},
		{"a stranger's to the link", [][]byte{udp(near, d.linkAddr, long)}, 1, 0},
		{"the link's, in fragments", cut(t, udp(exit, d.linkAddr, long), 100), 1, 0},
		{"a stranger's, in fragments", cut(t, udp(near, d.linkAddr, long), 100), 0, 1}, // the later one is any program's
		{"the host's", [][]byte{udp(near, port, long)}, 0, 1},
		{"the host's, from the exit's address, in fragments", cut(t, udp(exit, port, long), 100), 0, 0},
		{"another hop's", [][]byte{udp(netip.AddrPortFrom(farNet.Addr().Next(), 7), port, long)}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			link, host := 0, 0
			for _, pkt := range tt.pkts {
				d.check(t, pkt)
				link += len(d.payloads)
				host += len(d.host)
			}
			if link != tt.link || host != tt.host {
				t.Errorf("%d datagrams for the link, %d packets for the host; want %d, %d; drops %v",
					link, host, tt.link, tt.host, d.entry.hop.drops.snapshot())
			}
		})
	}
}

// TestEase: a carrier waits for a hop inside that is behind, but neither for one
// that keeps up, nor for one that stands still.
func TestEase(t *testing.T) {
	d := newDemux(t)
	s := d.exit.link.cur.Load()
	var p queue.Producer
	put := func(n int) {
		v := s.rx.Reserve(&p, n)
		for i := range v.N {
			v.Slot(i).SetSize(32)
		}
		v.Commit(v.N)
	}
	put(linkSlots/4 - 1)
	if d.entry.ease() {
		t.Error("waited, though little is behind")
	}
	time.Sleep(30 * time.Millisecond) // nothing was ever taken
	put(linkSlots / 4)
	if !d.entry.ease() {
		t.Error("did not wait")
	}
	eventually(t, 10*time.Second, "it is not waited for any more", func() bool { return !d.entry.ease() })
	take := func(n int) { v := s.rx.Peek(n); v.Release(n) }
	take(1)
	if !d.entry.ease() {
		t.Error("did not wait, though it moved again")
	}
	take(linkSlots / 4)
	if d.entry.ease() {
		t.Error("waited, though it has caught up")
	}
}
