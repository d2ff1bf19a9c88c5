package packet

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// TestGopacket compares what Parse reads, and every packet that this package
// writes or changes, with another implementation, byte for byte.
func TestGopacket(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 1))
	for i := range 4000 {
		src, dst := randomHost(rnd, i%2 == 0), randomHost(rnd, i%2 == 0)
		sport, dport := 1+uint16(rnd.IntN(65535)), 1+uint16(rnd.IntN(65535))

		ip := ipLayer(src, dst, layers.IPProtocolTCP, rnd)
		tcp := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: rnd.Uint32(), SYN: true, ACK: i%3 == 0,
			Window: uint16(rnd.Uint32())}
		tcp.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer))
		syn := func(mss uint16) []byte {
			tcp.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindMSS, OptionLength: 4,
				OptionData: binary.BigEndian.AppendUint16(nil, mss)}}
			return write(t, ip, tcp)
		}
		mss := uint16(rnd.IntN(60000))
		b := syn(mss + 1 + uint16(rnd.IntN(5000)))
		m := parse(t, b)
		want := Meta{Src: src, Dst: dst, Version: 4, Proto: ProtoTCP, Len: len(b), L4: len(b) - 28, SrcPort: sport, DstPort: dport,
			TCPFlags: FlagSYN, DF: m.DF, FragID: m.FragID}
		if src.Is6() {
			want.Version = 6
		}
		if tcp.ACK {
			want.TCPFlags |= 0x10
		}
		if m != want {
			t.Fatalf("Parse:\ngot  %+v\nwant %+v", m, want)
		}
		if !ClampMSS(b, &m, mss) || !bytes.Equal(b, syn(mss)) {
			t.Fatalf("MSS %d:\ngot  % x\nwant % x", mss, b, syn(mss))
		}

		checkError(t, b, &m, ICMPKind(rnd.IntN(3)), 1280+rnd.IntN(200))
		checkUDP(t, netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport), rnd)
	}
}

// checkError has PutICMPError answer b, and compares with what gopacket writes.
func checkError(t *testing.T, b []byte, m *Meta, kind ICMPKind, mtu int) {
	t.Helper()
	dst := make([]byte, 1280)
	got := dst[:PutICMPError(dst, b, m, kind, mtu)]
	rest := []byte{0, 0, 0, 0}
	if kind == TooBig {
		binary.BigEndian.PutUint32(rest, uint32(mtu))
	}
	var want []byte
	if m.Version == 4 {
		code := map[ICMPKind]uint8{AdminProhibited: layers.ICMPv4CodeCommAdminProhibited, NoRoute: layers.ICMPv4CodeNet,
			TooBig: layers.ICMPv4CodeFragmentationNeeded}[kind]
		ip := &layers.IPv4{Version: 4, TOS: 0xc0, Flags: layers.IPv4DontFragment, TTL: 64, Protocol: layers.IPProtocolICMPv4,
			SrcIP: m.Dst.AsSlice(), DstIP: m.Src.AsSlice()}
		h := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, code),
			Seq: binary.BigEndian.Uint16(rest[2:])}
		want = write(t, ip, h, gopacket.Payload(b))
	} else {
		typ := layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, layers.ICMPv6CodeNoRouteToDst)
		switch kind {
		case AdminProhibited:
			typ = layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, layers.ICMPv6CodeAdminProhibited)
		case TooBig:
			typ = layers.CreateICMPv6TypeCode(layers.ICMPv6TypePacketTooBig, 0)
		}
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolICMPv6, SrcIP: m.Dst.AsSlice(), DstIP: m.Src.AsSlice()}
		h := &layers.ICMPv6{TypeCode: typ}
		h.SetNetworkLayerForChecksum(ip)
		want = write(t, ip, h, gopacket.Payload(rest), gopacket.Payload(b))
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("kind %d about % x:\ngot  % x\nwant % x", kind, b, got, want)
	}
}

// checkUDP has PutUDP write a datagram, and compares with gopacket's.
func checkUDP(t *testing.T, src, dst netip.AddrPort, rnd *rand.Rand) {
	t.Helper()
	payload := make([]byte, rnd.IntN(100))
	for i := range payload {
		payload[i] = byte(rnd.Uint32())
	}
	head := UDPOverhead(dst.Addr())
	got := append(make([]byte, head), payload...)
	df := rnd.IntN(2) == 0
	if n := PutUDP(got, src, dst, len(payload), df); n != len(got) {
		t.Fatalf("PutUDP: %d bytes, not %d", n, len(got))
	}

	ip := ipLayer(src.Addr(), dst.Addr(), layers.IPProtocolUDP, nil)
	if ip, ok := ip.(*layers.IPv4); ok {
		ip.Id = binary.BigEndian.Uint16(got[4:]) // random without DF
		if df {
			ip.Id, ip.Flags = 0, layers.IPv4DontFragment
		}
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	udp.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer))
	if want := write(t, ip, udp, gopacket.Payload(payload)); !bytes.Equal(got, want) {
		t.Fatalf("PutUDP:\ngot  % x\nwant % x", got, want)
	}
}

// randomHost returns an address that an error may be sent to.
func randomHost(rnd *rand.Rand, v6 bool) netip.Addr {
	var a [16]byte
	for i := range a {
		a[i] = byte(rnd.Uint32())
	}
	if v6 {
		a[0] = 0x20
		return netip.AddrFrom16(a)
	}
	a[0] = 1 + a[0]%126
	return netip.AddrFrom4([4]byte(a[:]))
}

// ipLayer returns a header as putIPv4 and putIPv6 write it, or a random one.
func ipLayer(src, dst netip.Addr, proto layers.IPProtocol, rnd *rand.Rand) gopacket.SerializableLayer {
	if src.Is4() {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		if rnd != nil {
			ip.TTL, ip.TOS, ip.Id = uint8(rnd.Uint32()), uint8(rnd.Uint32()), uint16(rnd.Uint32())
		}
		return ip
	}
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	if rnd != nil {
		ip.HopLimit, ip.TrafficClass, ip.FlowLabel = uint8(rnd.Uint32()), uint8(rnd.Uint32()), rnd.Uint32()&0xfffff
	}
	return ip
}

func write(t *testing.T, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}
