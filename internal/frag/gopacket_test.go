package frag

import (
	"bytes"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/ip6defrag"
	"github.com/gopacket/gopacket/layers"
)

// TestGopacket has packets built, and our fragments of them decoded, verified
// and joined, by another implementation, and joins them ourselves.
func TestGopacket(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		version := 4 + 2*rnd.IntN(2)
		pkt := serialize(t, version, rnd)
		m := parse(t, pkt)
		mtu := 100 + rnd.IntN(1400)
		dst := slots(maxFragments, mtu)
		id := rnd.Uint32()
		n, ok := split(dst, pkt, &m, mtu, id)
		if !ok {
			t.Fatalf("%d bytes, MTU %d: not split", len(pkt), mtu)
		}
		if n == 1 {
			continue
		}
		r, d4, d6 := NewReassembler(nil), ip4defrag.NewIPv4Defragmenter(), ip6defrag.NewIPv6Defragmenter()
		var ours, theirs []byte // without the IP header
		for _, i := range rnd.Perm(n) {
			if whole, v := add(t, r, dst[i], 0); v == Whole {
				if !bytes.Equal(whole, pkt) {
					t.Fatalf("got  % x\nwant % x", whole, pkt)
				}
				ours = whole[m.L4:]
			}
			theirs = append(theirs, defragment(t, d4, d6, dst[i], id)...)
		}
		if !bytes.Equal(ours, pkt[m.L4:]) || !bytes.Equal(theirs, ours) {
			t.Fatalf("%d fragments of %d bytes: joined %d bytes, gopacket %d", n, len(pkt), len(ours), len(theirs))
		}
	}
}

// serialize has gopacket write a UDP packet.
func serialize(t *testing.T, version int, rnd *rand.Rand) []byte {
	t.Helper()
	udp := &layers.UDP{SrcPort: 51820, DstPort: 40000}
	payload := gopacket.Payload(random(rnd, rnd.IntN(4000)))
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	var err error
	if version == 4 {
		ip := &layers.IPv4{Version: 4, TOS: uint8(rnd.Uint32()), Id: uint16(rnd.Uint32()), TTL: uint8(rnd.Uint32()),
			Protocol: layers.IPProtocolUDP, SrcIP: net.IP(peer4.AsSlice()), DstIP: net.IP(host4.AsSlice())}
		if rnd.IntN(2) == 0 {
			ip.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}},
				{OptionType: 7, OptionLength: 7, OptionData: []byte{4, 0, 0, 0, 0}}, {OptionType: 0}}
		}
		udp.SetNetworkLayerForChecksum(ip)
		err = gopacket.SerializeLayers(buf, opts, ip, udp, payload)
	} else {
		ip := &layers.IPv6{Version: 6, TrafficClass: uint8(rnd.Uint32()), FlowLabel: rnd.Uint32() & 0xfffff,
			HopLimit: uint8(rnd.Uint32()), NextHeader: layers.IPProtocolUDP, SrcIP: net.IP(peer6.AsSlice()), DstIP: net.IP(host6.AsSlice())}
		udp.SetNetworkLayerForChecksum(ip)
		err = gopacket.SerializeLayers(buf, opts, ip, udp, payload)
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

// defragment has gopacket decode the fragment b, and returns the payload of
// the packet that it completes.
func defragment(t *testing.T, d4 *ip4defrag.IPv4Defragmenter, d6 *ip6defrag.IPv6Defragmenter, b []byte, id uint32) []byte {
	t.Helper()
	b = bytes.Clone(b)
	first := gopacket.Decoder(layers.LayerTypeIPv4)
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(b, first, gopacket.Default)
	if ip, ok := p.NetworkLayer().(*layers.IPv4); ok {
		if err, sum := ip.VerifyChecksum(); err != nil || !sum.Valid {
			t.Fatalf("header checksum: %+v, %v: % x", sum, err, b)
		}
		whole, err := d4.DefragIPv4(ip)
		if err != nil {
			t.Fatal(err)
		}
		if whole == nil {
			return nil
		}
		return whole.Payload
	}
	ip, ok := p.NetworkLayer().(*layers.IPv6)
	f, isFragment := p.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment)
	if !ok || !isFragment || f.Identification != id || f.NextHeader != layers.IPProtocolUDP || f.Reserved1 != 0 || f.Reserved2 != 0 {
		t.Fatalf("decoded as %v", p)
	}
	if whole := d6.DefragIPv6(ip, f); whole != nil {
		return whole.Payload
	}
	return nil
}
