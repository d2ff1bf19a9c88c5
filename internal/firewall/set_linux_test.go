package firewall

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/nftables"
)

func TestPrefixSets(t *testing.T) {
	end := func(key ...byte) nftables.SetElement { return nftables.SetElement{Key: key, IntervalEnd: true} }
	begin := func(key ...byte) nftables.SetElement { return nftables.SetElement{Key: key} }
	for _, test := range []struct {
		name     string
		prefixes []string
		text     []string
		elements []nftables.SetElement // of IPv4
	}{
		{"none", nil, nil, nil},
		{"one", []string{"192.0.2.0/24"}, []string{"192.0.2.0/24"}, []nftables.SetElement{begin(192, 0, 2, 0), end(192, 0, 3, 0)}},
		{"unmasked", []string{"192.0.2.9/24"}, []string{"192.0.2.0/24"}, []nftables.SetElement{begin(192, 0, 2, 0), end(192, 0, 3, 0)}},
		{"one address", []string{"192.0.2.9/32"}, []string{"192.0.2.9/32"}, []nftables.SetElement{begin(192, 0, 2, 9), end(192, 0, 2, 10)}},
		{"twice, and inside", []string{"10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8", "10.255.0.0/16"}, []string{"10.0.0.0/8"}, []nftables.SetElement{begin(10, 0, 0, 0), end(11, 0, 0, 0)}},
		{"neighbours", []string{"10.128.0.0/9", "10.0.0.0/9"}, []string{"10.0.0.0/9", "10.128.0.0/9"}, []nftables.SetElement{begin(10, 0, 0, 0), end(10, 128, 0, 0), begin(10, 128, 0, 0), end(11, 0, 0, 0)}},
		{"to the end", []string{"240.0.0.0/4"}, []string{"240.0.0.0/4"}, []nftables.SetElement{begin(240, 0, 0, 0)}},
		{"everything", []string{"0.0.0.0/0", "10.0.0.0/8"}, []string{"0.0.0.0/0"}, []nftables.SetElement{begin(0, 0, 0, 0)}},
		{"other family", []string{"::/0"}, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := prefixSets("exclude", parsePrefixes(test.prefixes))[0]
			if !slices.Equal(s.text, test.text) {
				t.Errorf("text: %v, want %v", s.text, test.text)
			}
			if !sameElements(s.elements, test.elements) {
				t.Errorf("elements: %v, want %v", s.elements, test.elements)
			}
		})
	}
}

func TestPlainAddresses(t *testing.T) {
	addrs := []netip.Addr{
		netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("192.0.2.1"),
		netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("fe80::1%eth1"),
	}
	sets := addrSets("tunnel", addrs)
	if got := sets[0].text; !slices.Equal(got, []string{"192.0.2.1"}) {
		t.Errorf("IPv4: %v", got)
	}
	if got := sets[1].text; !slices.Equal(got, []string{"fe80::1"}) {
		t.Errorf("IPv6: %v", got)
	}
	eps := endpointSets([]netip.AddrPort{netip.MustParseAddrPort("[::ffff:192.0.2.1]:9"), netip.MustParseAddrPort("192.0.2.1:9")})
	if got := eps[0].text; !slices.Equal(got, []string{"192.0.2.1 . 9"}) {
		t.Errorf("endpoints: %v", got)
	}
}

// TestKernelSets has the kernel take sets of every shape and size, and compares
// what it then has.
func TestKernelSets(t *testing.T) {
	w := newWorld(t)
	f := open(t, w.client)
	var many []netip.Prefix
	var endpoints []netip.AddrPort
	for i := range uint32(5000) {
		var b [16]byte
		binary.BigEndian.PutUint32(b[:], 0x20010db8)
		binary.BigEndian.PutUint32(b[4:], i*2)
		many = append(many,
			netip.PrefixFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x0b000000+i*512))), 24),
			netip.PrefixFrom(netip.AddrFrom16(b), 64))
		if i < 1000 {
			endpoints = append(endpoints, netip.AddrPortFrom(many[2*i].Addr(), uint16(i+1)), netip.AddrPortFrom(many[2*i+1].Addr(), uint16(i+1)))
		}
	}
	for _, test := range []struct {
		name     string
		prefixes []netip.Prefix
	}{
		{"everything", parsePrefixes([]string{"0.0.0.0/0", "::/0"})},
		{"both halves", parsePrefixes([]string{"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"})},
		{"neighbours", parsePrefixes([]string{"10.0.0.0/32", "10.0.0.1/32", "10.0.0.2/31", "fd00::/128", "fd00::1/128"})},
		{"10,000", many},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := w.config()
			c.Exclude, c.Endpoints = test.prefixes, endpoints
			apply(t, f, c)
			present(t, f, c, "Apply")
			if err := f.SetEndpoints(endpoints[1:]); err != nil {
				t.Error(err)
			}
			if ok, err := f.Present(c); ok || err != nil {
				t.Errorf("Present with an endpoint less: %v, %v", ok, err)
			}
		})
	}
}

func parsePrefixes(s []string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}
