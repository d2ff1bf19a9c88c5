package nat

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"multihop/packet"
)

// A message is an upper layer that gopacket writes.
type message struct {
	name     string
	proto    layers.IPProtocol
	versions string             // "4", "6", or both
	decoded  gopacket.LayerType // what gopacket must find in the packet; 0: it does not know the protocol
	layers   func(rnd *rand.Rand, ip gopacket.NetworkLayer) []gopacket.SerializableLayer
}

func messages() []message {
	type ls = []gopacket.SerializableLayer
	echo4 := func(rnd *rand.Rand, _ gopacket.NetworkLayer) ls {
		return ls{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: word16(rnd), Seq: word16(rnd)}, payload(rnd)}
	}
	icmp6 := func(typ uint8, body func(rnd *rand.Rand) gopacket.SerializableLayer) func(*rand.Rand, gopacket.NetworkLayer) ls {
		return func(rnd *rand.Rand, ip gopacket.NetworkLayer) ls {
			h := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, 0)}
			h.SetNetworkLayerForChecksum(ip)
			return ls{h, body(rnd)}
		}
	}
	mac := func(t layers.ICMPv6Opt, rnd *rand.Rand) layers.ICMPv6Options {
		return layers.ICMPv6Options{{Type: t, Data: random6(rnd)[:6]}}
	}
	return []message{
		{"TCP", layers.IPProtocolTCP, "46", layers.LayerTypeTCP, func(rnd *rand.Rand, ip gopacket.NetworkLayer) ls {
			h := &layers.TCP{SrcPort: layers.TCPPort(word16(rnd)), DstPort: layers.TCPPort(word16(rnd)), Seq: rnd.Uint32(),
				Ack: rnd.Uint32(), ACK: true, PSH: rnd.IntN(2) == 0, Window: word16(rnd), Urgent: word16(rnd)}
			if rnd.IntN(2) == 0 {
				h.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: random6(rnd)[:8]}}
			}
			h.SetNetworkLayerForChecksum(ip)
			return ls{h, payload(rnd)}
		}},
		{"UDP", layers.IPProtocolUDP, "46", layers.LayerTypeUDP, func(rnd *rand.Rand, ip gopacket.NetworkLayer) ls {
			h := &layers.UDP{SrcPort: layers.UDPPort(40000 + rnd.IntN(1000)), DstPort: layers.UDPPort(50000 + rnd.IntN(1000))}
			h.SetNetworkLayerForChecksum(ip)
			return ls{h, payload(rnd)}
		}},
		{"UDP-Lite", layers.IPProtocolUDPLite, "46", layers.LayerTypeUDPLite, func(rnd *rand.Rand, ip gopacket.NetworkLayer) ls {
			b := noise(rnd, 8+rnd.IntN(60))
			cover := []int{0, 8, len(b)}[rnd.IntN(3)]
			binary.BigEndian.PutUint16(b[4:], uint16(cover))
			if cover == 0 {
				cover = len(b)
			}
			return ls{checksummed(b, cover, layers.IPProtocolUDPLite, ip)}
		}},
		{"DCCP", packet.ProtoDCCP, "46", 0, func(rnd *rand.Rand, ip gopacket.NetworkLayer) ls {
			b := noise(rnd, 16+rnd.IntN(60))
			b[4], b[5] = 4, 0 // header of 16 bytes, checksum over everything
			return ls{checksummed(b, len(b), packet.ProtoDCCP, ip)}
		}},
		{"SCTP", layers.IPProtocolSCTP, "46", layers.LayerTypeSCTP, func(rnd *rand.Rand, _ gopacket.NetworkLayer) ls {
			return ls{&layers.SCTP{SrcPort: layers.SCTPPort(word16(rnd)), DstPort: layers.SCTPPort(word16(rnd)), VerificationTag: rnd.Uint32()},
				&layers.SCTPShutdownAck{SCTPChunk: layers.SCTPChunk{Type: layers.SCTPChunkTypeShutdownAck, Length: 4}}}
		}},
		{"GRE that carries our address", layers.IPProtocolGRE, "46", layers.LayerTypeGRE, func(rnd *rand.Rand, _ gopacket.NetworkLayer) ls {
			in := &layers.IPv4{Version: 4, TTL: 9, Protocol: layers.IPProtocolUDP, SrcIP: tun4.AsSlice(), DstIP: far4.AsSlice()}
			h := &layers.UDP{SrcPort: 40000, DstPort: 50000}
			h.SetNetworkLayerForChecksum(in)
			return ls{&layers.GRE{Protocol: layers.EthernetTypeIPv4, ChecksumPresent: true}, in, h, payload(rnd)}
		}},
		{"ESP", layers.IPProtocolESP, "46", layers.LayerTypeIPSecESP, func(rnd *rand.Rand, _ gopacket.NetworkLayer) ls {
			return ls{gopacket.Payload(noise(rnd, 40))}
		}},
		{"echo", layers.IPProtocolICMPv4, "4", layers.LayerTypeICMPv4, echo4},
		{"echo", layers.IPProtocolICMPv6, "6", layers.LayerTypeICMPv6Echo, icmp6(128, func(rnd *rand.Rand) gopacket.SerializableLayer {
			return &layers.ICMPv6Echo{Identifier: word16(rnd), SeqNumber: word16(rnd)}
		})},
		{"router solicitation", layers.IPProtocolICMPv6, "6", layers.LayerTypeICMPv6RouterSolicitation, icmp6(133, func(rnd *rand.Rand) gopacket.SerializableLayer {
			return &layers.ICMPv6RouterSolicitation{Options: mac(layers.ICMPv6OptSourceAddress, rnd)}
		})},
		{"router advertisement", layers.IPProtocolICMPv6, "6", layers.LayerTypeICMPv6RouterAdvertisement, icmp6(134, func(rnd *rand.Rand) gopacket.SerializableLayer {
			return &layers.ICMPv6RouterAdvertisement{HopLimit: 64, RouterLifetime: word16(rnd), ReachableTime: rnd.Uint32(), Options: mac(layers.ICMPv6OptSourceAddress, rnd)}
		})},
		{"neighbour solicitation", layers.IPProtocolICMPv6, "6", layers.LayerTypeICMPv6NeighborSolicitation, icmp6(135, func(rnd *rand.Rand) gopacket.SerializableLayer {
			return &layers.ICMPv6NeighborSolicitation{TargetAddress: tun6.AsSlice(), Options: mac(layers.ICMPv6OptSourceAddress, rnd)}
		})},
		{"neighbour advertisement", layers.IPProtocolICMPv6, "6", layers.LayerTypeICMPv6NeighborAdvertisement, icmp6(136, func(rnd *rand.Rand) gopacket.SerializableLayer {
			return &layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: random6(rnd), Options: mac(layers.ICMPv6OptTargetAddress, rnd)}
		})},
	}
}

func word16(rnd *rand.Rand) uint16  { return uint16(rnd.Uint32()) }
func random6(rnd *rand.Rand) net.IP { return noise(rnd, 16) }

func noise(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func payload(rnd *rand.Rand) gopacket.Payload { return noise(rnd, rnd.IntN(80)) }

// checksummed fills the checksum at offset 6 of b, of a protocol that gopacket
// does not write, over its first cover bytes.
func checksummed(b []byte, cover int, proto layers.IPProtocol, ip gopacket.NetworkLayer) gopacket.Payload {
	b[6], b[7] = 0, 0
	flow := ip.NetworkFlow()
	ph := append(bytes.Clone(flow.Src().Raw()), flow.Dst().Raw()...)
	sum := gopacket.ComputeChecksum(b[:cover], gopacket.ComputeChecksum(ph, uint32(proto)+uint32(len(b))))
	c := gopacket.FoldChecksum(sum)
	if c == 0 && proto == layers.IPProtocolUDPLite {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(b[6:], c)
	return b
}

// serialize has gopacket write the message m, with options or extension headers
// if long.
func serialize(t *testing.T, rnd *rand.Rand, src, dst netip.Addr, m message, long bool) []byte {
	t.Helper()
	ip, ls := headers(rnd, src, dst, m.proto, long)
	return write(t, append(ls, m.layers(rnd, ip)...)...)
}

// headers returns the IP header for proto and what stands between it and proto.
func headers(rnd *rand.Rand, src, dst netip.Addr, proto layers.IPProtocol, long bool) (gopacket.NetworkLayer, []gopacket.SerializableLayer) {
	if src.Is4() {
		ip := &layers.IPv4{Version: 4, TOS: uint8(rnd.Uint32()), Id: word16(rnd), TTL: uint8(rnd.Uint32()), Protocol: proto,
			SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		if long {
			ip.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}},
				{OptionType: 7, OptionLength: 7, OptionData: append([]byte{8}, tun4.AsSlice()...)}, {OptionType: 0}}
		}
		return ip, []gopacket.SerializableLayer{ip}
	}
	ip := &layers.IPv6{Version: 6, TrafficClass: uint8(rnd.Uint32()), FlowLabel: rnd.Uint32() & 0xfffff, HopLimit: uint8(rnd.Uint32()),
		NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	if !long {
		return ip, []gopacket.SerializableLayer{ip}
	}
	ip.NextHeader = layers.IPProtocolIPv6HopByHop
	hop := &layers.IPv6HopByHop{Options: []*layers.IPv6HopByHopOption{{OptionType: 5, OptionData: []byte{0, 0}}, {OptionType: 1, OptionData: []byte{}}}}
	hop.NextHeader = layers.IPProtocolIPv6Destination
	opts := &layers.IPv6Destination{Options: []*layers.IPv6DestinationOption{{OptionType: 1, OptionData: noise(rnd, 12)}}}
	opts.NextHeader = layers.IPProtocolIPv6Routing
	route := &layers.IPv6Routing{RoutingType: 4, Reserved: []byte{0, 0, 0, 0}, SourceRoutingIPs: []net.IP{tun6.AsSlice()}}
	route.NextHeader = layers.IPProtocolIPv6Fragment
	atomic := &layers.IPv6Fragment{NextHeader: proto, Identification: rnd.Uint32()}
	return ip, []gopacket.SerializableLayer{ip, hop, opts, route, atomic}
}

func write(t *testing.T, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

// writeError has gopacket write an ICMP error about a packet.
func writeError(t *testing.T, rnd *rand.Rand, src, dst netip.Addr, quote []byte, long bool) []byte {
	t.Helper()
	if src.Is4() {
		_, ls := headers(rnd, src, dst, layers.IPProtocolICMPv4, long)
		typ := []uint8{3, 11, 12}[rnd.IntN(3)]
		h := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, 0), Seq: word16(rnd)}
		return write(t, append(ls, h, gopacket.Payload(quote))...)
	}
	ip, ls := headers(rnd, src, dst, layers.IPProtocolICMPv6, long)
	h := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(uint8(1+rnd.IntN(4)), 0)}
	h.SetNetworkLayerForChecksum(ip)
	return write(t, append(ls, h, gopacket.Payload([]byte{0, 0, 5, 0}), gopacket.Payload(quote))...)
}

// writeFragments has gopacket write the fragments of a packet without options,
// with at most n bytes of payload each.
func writeFragments(t *testing.T, whole []byte, n int) (pieces [][]byte) {
	t.Helper()
	var p4 layers.IPv4
	var p6 layers.IPv6
	v6 := whole[0]>>4 == 6
	var err error
	var payload []byte
	if v6 {
		err = p6.DecodeFromBytes(whole, gopacket.NilDecodeFeedback)
		payload = p6.Payload
	} else {
		err = p4.DecodeFromBytes(whole, gopacket.NilDecodeFeedback)
		payload = p4.Payload
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(payload) <= n {
		return [][]byte{whole}
	}
	for at := 0; at < len(payload); at += n {
		end := min(at+n, len(payload))
		piece := gopacket.Payload(payload[at:end])
		if v6 {
			ip := p6
			ip.NextHeader = layers.IPProtocolIPv6Fragment
			h := &layers.IPv6Fragment{NextHeader: p6.NextHeader, FragmentOffset: uint16(at / 8), MoreFragments: end < len(payload), Identification: 0xdeadbeef}
			pieces = append(pieces, write(t, &ip, h, piece))
			continue
		}
		ip := p4
		ip.FragOffset = uint16(at / 8)
		if end < len(payload) {
			ip.Flags = layers.IPv4MoreFragments
		}
		pieces = append(pieces, write(t, &ip, piece))
	}
	return pieces
}
