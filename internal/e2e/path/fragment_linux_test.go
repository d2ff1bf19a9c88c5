package path_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"multihop/internal/netlab"
)

// fragmented is the payload of the datagrams that need fragments, in bytes.
const fragmented = 3000

// protoFragment is IPv6's fragment header.
const protoFragment = 44

// fragments: datagrams and pings cross in fragments, both ways, in order and
// out of order.
func fragments(t *testing.T, c *running, s *side, f family) {
	addr, tun := s.addr(fragmenting, f.like), c.addr(t, f)
	if _, err := c.Client.Echo(addr, fragmented, 3*time.Second); err != nil {
		t.Error(err)
	}
	if got, _, err := c.Client.Ping(addr, 3, fragmented, 2*time.Second); got != 3 || err != nil {
		t.Errorf("%d of 3 pings of %d bytes answered, %v", got, fragmented, err)
	}

	// Fragments of our own making, of sizes that no kernel would choose.
	there, here := listen(t, s.target), listen(t, c.Client)
	for _, way := range []struct {
		name     string
		from     *netlab.Host
		src, dst netip.Addr
		to       *sink
	}{
		{"out", c.Client, tun, addr, there},
		{"in", s.target, addr, s.client.Of(f.like), here},
	} {
		src, dst := netip.AddrPortFrom(way.src, 4000), netip.AddrPortFrom(way.dst, way.to.port)
		payload := pattern(fragmented)
		body := netlab.Datagram(src, dst, payload)[f.header()-8:]
		for id, order := range orders {
			for _, p := range order.of(cut(src.Addr(), dst.Addr(), netlab.ProtoUDP, body, uint16(id+1))) {
				if err := way.from.Send(p); err != nil {
					t.Fatal(err)
				}
			}
			if b, ok := way.to.wait(time.Second); !ok {
				t.Errorf("%s: a datagram in fragments, %s: lost", way.name, order.name)
			} else if !bytes.Equal(b, payload) {
				t.Errorf("%s: a datagram in fragments, %s: %d other bytes", way.name, order.name, len(b))
			}
		}
	}
	pingInFragments(t, c, f, tun, addr)
}

// addr is the TUN's address.
func (c *running) addr(t *testing.T, f family) netip.Addr {
	t.Helper()
	s, err := c.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range s.Addrs {
		if a.Is4() == f.like.Is4() {
			return a
		}
	}
	t.Fatalf("the TUN has no %s address", f.name)
	return netip.Addr{}
}

// orders are those in which fragments may arrive.
var orders = []struct {
	name string
	of   func([][]byte) [][]byte
}{
	{"in order", func(p [][]byte) [][]byte { return p }},
	{"last first", func(p [][]byte) [][]byte { slices.Reverse(p); return p }},
	{"first last", func(p [][]byte) [][]byte { return append(p[1:], p[0]) }},
	{"one twice", func(p [][]byte) [][]byte { return slices.Insert(p, 1, p[1]) }},
}

// pingInFragments sends echo requests in fragments from tun to addr and waits
// for the replies.
func pingInFragments(t *testing.T, c *running, f family, tun, addr netip.Addr) {
	t.Helper()
	network, local, proto := "ip4:icmp", "0.0.0.0", netlab.ProtoICMP
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	var pseudo []byte
	if f.like.Is6() {
		network, local, proto = "ip6:ipv6-icmp", "::", netlab.ProtoICMPv6
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
		pseudo = icmp.IPv6PseudoHeader(tun.AsSlice(), addr.AsSlice())
	}
	var conn *icmp.PacketConn
	err := c.Client.Do(func() (err error) {
		conn, err = icmp.ListenPacket(network, local)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	data := pattern(fragmented)
	for seq, order := range orders {
		m := icmp.Message{Type: request, Body: &icmp.Echo{ID: 77, Seq: seq, Data: data}}
		body, err := m.Marshal(pseudo)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range order.of(cut(tun, addr, byte(proto), body, uint16(100+seq))) {
			if err := c.Client.Send(p); err != nil {
				t.Fatal(err)
			}
		}
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		for buf := make([]byte, 1<<16); ; {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				t.Errorf("an echo request in fragments, %s: no reply: %v", order.name, err)
				break
			}
			a, err := icmp.ParseMessage(proto, buf[:n])
			if err != nil || a.Type != reply {
				continue
			}
			if e, ok := a.Body.(*icmp.Echo); ok && e.ID == 77 && e.Seq == seq && bytes.Equal(e.Data, data) {
				break
			}
		}
	}
}

// cut returns the packets that carry body in fragments of 808 bytes.
func cut(src, dst netip.Addr, proto byte, body []byte, id uint16) [][]byte {
	const size = 808 // a multiple of 8
	var packets [][]byte
	for at := 0; at < len(body); at += size {
		part := body[at:min(at+size, len(body))]
		more := at+len(part) < len(body)
		var p []byte
		if src.Is4() {
			flags := uint16(at / 8)
			if more {
				flags |= 0x2000
			}
			p = binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(20+len(part)))
			p = binary.BigEndian.AppendUint16(p, id)
			p = binary.BigEndian.AppendUint16(p, flags)
			p = append(p, 64, proto, 0, 0) // the kernel fills the checksum
		} else {
			p = binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(8+len(part)))
			p = append(p, protoFragment, 64)
		}
		p = append(p, src.AsSlice()...)
		p = append(p, dst.AsSlice()...)
		if src.Is6() { // RFC 8200, section 4.5
			offset := uint16(at)
			if more {
				offset |= 1
			}
			p = binary.BigEndian.AppendUint16(append(p, proto, 0), offset)
			p = binary.BigEndian.AppendUint32(p, uint32(id))
		}
		packets = append(packets, append(p, part...))
	}
	return packets
}
