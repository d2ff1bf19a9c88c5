package netlab

import (
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
)

func TestWithout(t *testing.T) {
	ap := netip.MustParseAddrPort
	at := netip.MustParseAddr
	v4 := UDPFlow(at("192.0.2.2"), ap("192.0.2.1:51820"))
	v6 := UDPFlow(at("2001:db8::2"), ap("[2001:db8::1]:51820"))
	anyone := UDPFlow(netip.Addr{}, ap("192.0.2.1:51820"))
	hosts := HostFlow(at("192.0.2.2"), at("192.0.2.1"))

	fragment := Datagram(ap("192.0.2.2:7"), ap("192.0.2.1:51820"), nil)
	fragment[7] = 1 // offset 8
	tcp := Datagram(ap("192.0.2.2:7"), ap("192.0.2.1:51820"), nil)
	tcp[9] = ProtoTCP
	options := append([]byte(nil), Datagram(ap("192.0.2.2:7"), ap("192.0.2.1:51820"), nil)...)
	options = append(append(options[:20:20], 1, 1, 1, 1), options[20:]...)
	options[0] = 0x46

	tests := []struct {
		name  string
		flows []Flow
		b     []byte
		drop  bool
	}{
		{"out", []Flow{v4}, Datagram(ap("192.0.2.2:7"), ap("192.0.2.1:51820"), nil), true},
		{"back", []Flow{v4}, Datagram(ap("192.0.2.1:51820"), ap("192.0.2.2:7"), nil), true},
		{"options", []Flow{v4}, options, true},
		{"other port", []Flow{v4}, Datagram(ap("192.0.2.2:7"), ap("192.0.2.1:51821"), nil), false},
		{"port at the wrong end", []Flow{v4}, Datagram(ap("192.0.2.2:51820"), ap("192.0.2.1:7"), nil), false},
		{"other host", []Flow{v4}, Datagram(ap("192.0.2.3:7"), ap("192.0.2.1:51820"), nil), false},
		{"other protocol", []Flow{v4}, tcp, false},
		{"later fragment", []Flow{v4}, fragment, false},
		{"any address", []Flow{anyone}, Datagram(ap("192.0.2.3:7"), ap("192.0.2.1:51820"), nil), true},
		{"any address, other port", []Flow{anyone}, Datagram(ap("192.0.2.3:7"), ap("192.0.2.1:7"), nil), false},
		{"hosts", []Flow{hosts}, tcp, true},
		{"hosts, fragment", []Flow{hosts}, fragment, true},
		{"v6 out", []Flow{v6}, Datagram(ap("[2001:db8::2]:7"), ap("[2001:db8::1]:51820"), nil), true},
		{"v6 back", []Flow{v4, v6}, Datagram(ap("[2001:db8::1]:51820"), ap("[2001:db8::2]:7"), nil), true},
		{"v6 other host", []Flow{v4, v6}, Datagram(ap("[2001:db8::3]:7"), ap("[2001:db8::1]:51820"), nil), false},
		{"v6 other port", []Flow{v4, v6}, Datagram(ap("[2001:db8::2]:7"), ap("[2001:db8::1]:51821"), nil), false},
		{"second flow", []Flow{v6, v4}, Datagram(ap("192.0.2.2:7"), ap("192.0.2.1:51820"), nil), true},
		{"no flows", nil, tcp, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := without(tt.flows)
			if err != nil {
				t.Fatal(err)
			}
			prog, ok := bpf.Disassemble(raw)
			if !ok {
				t.Fatal("not disassembled")
			}
			vm, err := bpf.NewVM(prog)
			if err != nil {
				t.Fatal(err)
			}
			n, err := vm.Run(tt.b)
			if err != nil {
				t.Fatal(err)
			}
			if got := n == 0; got != tt.drop {
				t.Errorf("dropped: %v, want %v", got, tt.drop)
			}
		})
	}
}

func TestPacketParse(t *testing.T) {
	tests := []struct {
		name        string
		ether       uint16
		b           []byte
		neighbourly bool
		proto       uint8
	}{
		{"ARP", EtherARP, []byte{0, 1, 8, 0}, true, 0},
		{"UDP", EtherIPv4, Datagram(netip.MustParseAddrPort("192.0.2.2:7"), netip.MustParseAddrPort("192.0.2.1:8"), []byte("x")), false, ProtoUDP},
		{"cut short", EtherIPv4, []byte{0x45, 0, 0}, false, 0},
		{"header longer than the packet", EtherIPv4, append([]byte{0x4f}, make([]byte, 30)...), false, 0},
		{"IGMP", EtherIPv4, []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0, 192, 0, 2, 1, 224, 0, 0, 22, 0x22, 0, 0, 0, 0, 0, 0, 0}, true, protoIGMP},
		{"neighbour solicitation", EtherIPv6, append(append([]byte{0x60, 0, 0, 0, 0, 8, ProtoICMPv6, 255}, make([]byte, 32)...), 135, 0, 0, 0, 0, 0, 0, 0), true, ProtoICMPv6},
		{"echo request", EtherIPv6, append(append([]byte{0x60, 0, 0, 0, 0, 8, ProtoICMPv6, 255}, make([]byte, 32)...), 128, 0, 0, 0, 0, 0, 0, 0), false, ProtoICMPv6},
		{"listener report after hop-by-hop options", EtherIPv6, append(append([]byte{0x60, 0, 0, 0, 0, 16, 0, 1}, make([]byte, 32)...), ProtoICMPv6, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0, 0), true, ProtoICMPv6},
		{"hop-by-hop options that lie", EtherIPv6, append(append([]byte{0x60, 0, 0, 0, 0, 8, 0, 1}, make([]byte, 32)...), ProtoUDP, 255, 0, 0, 0, 0, 0, 0), false, ProtoUDP},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Packet{EtherType: tt.ether, Data: tt.b}
			p.parse()
			if p.Neighbourly() != tt.neighbourly || p.Proto != tt.proto {
				t.Errorf("neighbourly %v, protocol %d; want %v, %d", p.Neighbourly(), p.Proto, tt.neighbourly, tt.proto)
			}
		})
	}
}

func FuzzPacketParse(f *testing.F) {
	f.Add(uint16(EtherIPv4), Datagram(netip.MustParseAddrPort("192.0.2.2:7"), netip.MustParseAddrPort("192.0.2.1:8"), []byte("x")))
	f.Add(uint16(EtherIPv6), Datagram(netip.MustParseAddrPort("[2001:db8::2]:7"), netip.MustParseAddrPort("[2001:db8::1]:8"), nil))
	f.Fuzz(func(_ *testing.T, ether uint16, b []byte) {
		p := Packet{EtherType: ether, Data: b}
		p.parse()
		_ = p.Neighbourly()
		_ = p.String()
	})
}
